// settings.h: what the parts of the simulator share, and what control.cpp lets a test set.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace hostsim {

struct Settings {
    std::uint64_t seed = 0;      // 0 forward, 1 reverse, others a random order
    unsigned preempt = 0;        // check mode: one access in so many ends a thread's turn; 0 never
    std::uint64_t launches = 0;  // counted, not set
};
extern Settings settings;

// A fixed sequence of random numbers, begun anew by every launch.
std::uint64_t random_bits();

// ---- findings: each place is reported once ------------------------------------------------------
void report(const std::string& what, const void* code = nullptr);
const std::vector<std::string>& findings();
void reset_findings();
std::string where();  // "thread 3 of block 1"

// ---- the running thread, as memory.cpp sees it --------------------------------------------------
struct Copy {
    void* to;
    const void* from;
    std::size_t bytes, zeros;
    std::vector<unsigned char> source;  // as it was when the copy began
};

struct ThreadView {
    unsigned index;            // in the block
    std::uint32_t warp_epoch;  // how many __syncwarp it has passed
    const char* stack;
    std::vector<std::vector<Copy>> groups;
    std::vector<Copy> open;  // not yet committed
};
ThreadView* running();

struct BlockView {
    std::uint32_t serial;        // of the block, over all launches; 0 is none
    std::uint32_t launch_first;  // the serial of the launch's first block
    std::uint32_t epoch;         // how many barriers it has passed
    int device;
    const char* call;  // the kernel's arguments
    std::size_t call_bytes;
};
extern BlockView block;

constexpr std::size_t stack_bytes = 128 << 10;

void maybe_preempt();  // at an access

// ---- between memory.cpp and the others ----------------------------------------------------------
void begin_block_memory();  // shared memory is NaN again
void end_thread_memory();   // the running thread ends
void check_canaries();      // plain mode: the gaps behind allocations are untouched
void mark_written(const void* address, std::size_t bytes);  // as by a copy from the host
std::size_t live_allocations();
std::size_t live_bytes();

// ---- runtime.cpp --------------------------------------------------------------------------------
int current_device();
void fail_launch(int error);  // what cudaGetLastError answers next

}  // namespace hostsim
