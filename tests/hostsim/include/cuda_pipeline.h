// cuda_pipeline.h of the simulator: a copy lands when it is waited for, and not before.
#pragma once

#include "cuda_runtime.h"

inline void __pipeline_memcpy_async(void* to, const void* from, std::size_t bytes,
                                    std::size_t zeros = 0) {
    hostsim::copy_async(to, from, bytes, zeros);
}
inline void __pipeline_commit() { hostsim::commit_copies(); }
inline void __pipeline_wait_prior(unsigned pending) { hostsim::wait_for_copies(pending); }
