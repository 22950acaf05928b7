// primitives.cuh: the few things that every kernel needs, each under one name.
//
// `within` marks every test that keeps an access inside its array, and nothing else: the mutation
// test (tests/hostsim) takes each away in turn and expects an objection.
#pragma once

#include <cuda_pipeline.h>
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace sacfast::cuda {

__host__ __device__ inline bool within(std::int64_t index, std::int64_t size) {
    return index < size;
}

// 16 bytes from device to shared memory, or zeros where there is nothing to read: asynchronous.
// Both addresses are multiples of 16; `source` has to be a valid address even for zeros.
__device__ inline void copy_16_async(void* shared, const void* source, bool valid) {
    __pipeline_memcpy_async(shared, source, 16, valid ? 0 : 16);
}

// `bytes` (4, 8 or 16) from device to shared memory, of which the first `valid` are read and the
// others are zeros: asynchronous. Both addresses are multiples of `bytes`; `source` has to be a
// valid address even for zeros.
template <int bytes>
__device__ inline void copy_async(void* shared, const void* source, int valid) {
    __pipeline_memcpy_async(shared, source, bytes, static_cast<std::size_t>(bytes - valid));
}

// All asynchronous copies since the last commit form a group.
__device__ inline void commit_copies() { __pipeline_commit(); }

// Waits until at most `pending` of this thread's groups are under way. Other threads' copies are
// seen after a barrier only.
template <int pending>
__device__ inline void wait_for_copies() {
    __pipeline_wait_prior(pending);
}

// Ends every launcher: throws where the launch was refused.
inline void check_launch(const char* kernel) {
    const cudaError_t status = cudaGetLastError();
    if (status != cudaSuccess) {
        throw std::runtime_error(std::string(kernel) + ": " + cudaGetErrorString(status));
    }
}

}  // namespace sacfast::cuda
