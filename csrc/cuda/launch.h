// launch.h: what every launcher is given: a stream, scratch memory, and how products are taken.
//
// A launcher puts its kernels on the caller's stream and returns. It allocates nothing, copies
// nothing from the host but kernel arguments, and never waits: so it works under the capture of a
// CUDA graph. Scratch belongs to the caller. `Need` says how much is wanted; with less than `most`
// the models are taken in several rounds, each through the same scratch. No result depends on that.
//
// All functions work on the current device; bind_cuda.cpp makes the right one current.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sacfast::cuda {

struct Stream {
    void* handle;         // a cudaStream_t; null is the default stream
    int multiprocessors;  // of its device
};

struct Scratch {
    std::byte* data;  // device memory, a multiple of 256 as an address
    std::int64_t bytes;
};

struct Need {
    std::int64_t least;  // a launcher throws std::invalid_argument for less
    std::int64_t most;   // more is of no use
};

// How a tile multiplies. fma: float32 FMAs. tf32x3: tensor cores, each number as a sum of two
// TF32 ones, three products. bfloat16: tensor cores, numbers rounded to bfloat16. gram.cuh has the
// errors, and which devices gain by which.
enum class Product { fma, tf32x3, bfloat16 };

}  // namespace sacfast::cuda
