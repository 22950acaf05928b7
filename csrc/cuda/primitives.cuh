// primitives.cuh: the few things that every kernel needs, each under one name.
//
// `within` marks every test that keeps an access inside its array, and nothing else: the mutation
// test (tests/hostsim) takes each away in turn and expects an objection.
#pragma once

#include <cuda_runtime.h>
#ifdef SACFAST_HOSTSIM
#include <cuda_pipeline.h>
#endif

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace sacfast::cuda {

__host__ __device__ inline bool within(std::int64_t index, std::int64_t size) {
    return index < size;
}

// `bytes` (4, 8 or 16) from device to shared memory, or zeros where there is nothing to read:
// asynchronous. Both addresses are multiples of `bytes`; for zeros nothing is read, wherever
// `source` lies. PTX, because the CUDA headers' function branches on the number of zeros, and their
// commit and wait let the compiler move accesses of memory past them.
template <int bytes>
__device__ __forceinline__ void copy_async(void* shared, const void* source, bool valid) {
    static_assert(bytes == 4 || bytes == 8 || bytes == 16, "copies that the hardware has");
#ifdef SACFAST_HOSTSIM
    __pipeline_memcpy_async(shared, source, bytes, valid ? 0 : bytes);
#else
    const auto to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
    const auto from = __cvta_generic_to_global(source);
    const int read = valid ? bytes : 0;
    if constexpr (bytes == 16) {  // past L1
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
                     :
                     : "r"(to), "l"(from), "r"(read)
                     : "memory");
    } else {
        asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;"
                     :
                     : "r"(to), "l"(from), "n"(bytes), "r"(read)
                     : "memory");
    }
#endif
}

__device__ __forceinline__ void copy_16_async(void* shared, const void* source, bool valid) {
    copy_async<16>(shared, source, valid);
}

// All asynchronous copies since the last commit form a group.
__device__ inline void commit_copies() {
#ifdef SACFAST_HOSTSIM
    __pipeline_commit();
#else
    asm volatile("cp.async.commit_group;" : : : "memory");
#endif
}

// Waits until at most `pending` of this thread's groups are under way. Other threads' copies are
// seen after a barrier only.
template <int pending>
__device__ inline void wait_for_copies() {
#ifdef SACFAST_HOSTSIM
    __pipeline_wait_prior(pending);
#else
    asm volatile("cp.async.wait_group %0;" : : "n"(pending) : "memory");
#endif
}

// Ends every launcher: throws where the launch was refused.
inline void check_launch(const char* kernel) {
    const cudaError_t status = cudaGetLastError();
    if (status != cudaSuccess) {
        throw std::runtime_error(std::string(kernel) + ": " + cudaGetErrorString(status));
    }
}

}  // namespace sacfast::cuda
