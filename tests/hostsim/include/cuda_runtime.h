// cuda_runtime.h of the simulator: what CUDA C++ and its runtime mean on a CPU.
//
// Names that are not here are not simulated: using one fails to compile.
#pragma once

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __align__(n) alignas(n)
#define __restrict__ __restrict
#define __builtin_assume(condition) static_cast<void>(0)

#include "cuda_runtime_api.h"
#include "hostsim/launch.h"
#include "hostsim/mathematics.h"
#include "hostsim/memory.h"
#include "hostsim/scheduler.h"
#include "hostsim/tensor_cores.h"
#include "hostsim/vector_types.h"
#include "hostsim/warp.h"

#define threadIdx (hostsim::here.thread)
#define blockIdx (hostsim::here.block)
#define blockDim (hostsim::here.threads)
#define gridDim (hostsim::here.blocks)

[[noreturn]] inline void __trap() { hostsim::abandon("__trap()"); }
