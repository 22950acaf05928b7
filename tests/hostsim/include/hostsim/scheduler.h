// scheduler.h: blocks, warps and threads of a kernel, as fibers on one CPU thread.
//
// One block runs after the other, every thread of it as a fiber that goes on until it waits for
// others, ends or (check mode) is preempted at an access. The order of the threads and of the
// blocks, and the preemption, come from the settings of control.cpp: forward, reverse or random.
#pragma once

#include <cstddef>
#include <cstdint>

struct uint3 {
    unsigned x, y, z;
};

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

namespace hostsim {

struct Coordinates {  // of the running thread
    uint3 thread, block;
    dim3 threads, blocks;
};
extern Coordinates here;

// Where in the source something was called.
struct Site {
    const char* file;
    int line;
};

// Runs `body(call)` as every thread of every block. `call` is constant memory to the kernel.
void launch(dim3 blocks, dim3 threads, std::size_t dynamic_bytes, void* stream,
            void (*body)(const void*), const void* call, std::size_t call_bytes);

struct Votes {
    int count, all, any;
};
Votes synchronise_block(Site site, bool vote);

// A meeting of the 32 lanes. Each gives `bytes` at `in` and finds the lanes' 32 pieces at `out`.
// Only `orders` (__syncwarp) makes the lanes' memory accesses ordered: a shuffle doesn't.
void synchronise_warp(unsigned mask, const char* operation, Site site, const void* in, void* out,
                      std::size_t bytes, bool orders);

int lane();

// A kernel whose __launch_bounds__ allow `most` threads begins.
void check_threads(unsigned most);

// Ends the launch with a finding: nothing sensible can come after it.
[[noreturn]] void abandon(const char* what);

}  // namespace hostsim
