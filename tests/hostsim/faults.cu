// faults.cu: small kernels with one planted fault each, and the same kernels without it.
//
// test_simulator.py runs each with kFault = true and demands its objection, and with false and
// demands none.

#include <cuda_pipeline.h>
#include <cuda_runtime.h>

#include <cstdint>

float program_variable = 1.0f;  // the CPU's

namespace {

constexpr int threads = 64;

__device__ int me() { return static_cast<int>(threadIdx.x); }

// Neighbours exchange through shared memory.
template <bool kFault>
__global__ void barrier(float* out) {
    __shared__ float values[threads];
    values[me()] = static_cast<float>(me());
    if (!kFault) __syncthreads();
    out[me()] = values[threads - 1 - me()];
}

// The same within a warp: a __syncwarp is enough, a shuffle is not.
template <bool kFault>
__global__ void warp_barrier(float* out) {
    __shared__ float values[threads];
    values[me()] = static_cast<float>(me());
    if (kFault) {
        __shfl_xor_sync(0xffffffffu, 1, 1);
    } else {
        __syncwarp();
    }
    out[me()] = values[me() ^ 1];
}

// A __syncwarp orders no other warp.
template <bool kFault>
__global__ void other_warp(float* out) {
    __shared__ float values[threads];
    values[me()] = static_cast<float>(me());
    __syncwarp();
    out[me()] = values[me() ^ (kFault ? 32 : 1)];
}

// A second use of shared memory may not overtake the reads of the first.
template <bool kFault>
__global__ void reuse(float* out) {
    __shared__ float values[threads];
    float sum = 0.0f;
    for (int i = 0; i < 3; ++i) {
        values[me()] = static_cast<float>(i);
        __syncthreads();
        sum += values[(me() + 33) % threads];
        if (!kFault) __syncthreads();
    }
    out[me()] = sum;
}

// Two blocks write one word.
template <bool kFault>
__global__ void blocks(float* out) {
    if (me() == 0) out[kFault ? 0 : blockIdx.x] = 1.0f;
}

// A block reads what another has written.
template <bool kFault>
__global__ void blocks_read(float* out) {
    out[blockIdx.x * threads + me()] = 1.0f;
    __syncthreads();
    const unsigned from = kFault ? 1 - blockIdx.x : blockIdx.x;
    if (out[from * threads + me()] > 1.0f) out[0] = 2.0f;
}

template <bool kFault>
__global__ void global_bounds(const float* in, float* out) {
    out[me()] = in[me() + (kFault ? 1 : 0)];
}

template <bool kFault>
__global__ void global_bounds_write(const float*, float* out) {
    if (kFault || me() > 0) out[me() - 1] = 1.0f;
}

template <bool kFault>
__global__ void shared_bounds(float* out) {
    __shared__ float first[threads];
    __shared__ float second[threads];
    first[me()] = second[me()] = 1.0f;
    __syncthreads();
    const float* at = first;
    out[me()] = at[me() + (kFault ? 1 : 0)];
}

// An index beyond an array of its own, which is registers or lies among them.
template <bool kFault>
__global__ void own_bounds(const float* in, float* out) {
    float values[4];
    for (int i = 0; i < 4; ++i) values[i] = in[i];
    out[me()] = values[me() % 4 + (kFault && me() == 7 ? 1 : 0)];
}

// One number of its own array is never written.
template <bool kFault>
__global__ void own_never_written(const float* in, float* out) {
    float values[4];
    for (int i = 0; i < (kFault ? 3 : 4); ++i) values[i] = in[i];
    out[me()] = values[me() % 4];
}

template <bool kFault>
__global__ void overflow(const float* in, float* out) {
    const int far = 1 << (kFault ? 30 : 29);
    const int at = (static_cast<int>(in[2]) * far + me()) - 2 * (1 << 29);  // in[2] is 2
    out[me()] = static_cast<float>(at);
}

// Compiled for fewer threads than it is launched with.
template <bool kFault>
__global__ void __launch_bounds__(kFault ? threads / 2 : threads) too_many_threads(float* out) {
    out[me()] = 1.0f;
}

template <bool kFault>
__global__ void alignment(const float* in, float* out) {
    if (me() < 8) {
        const auto* at = reinterpret_cast<const float4*>(in + me() * 4 + (kFault ? 1 : 0));
        out[me()] = at->x;
        *reinterpret_cast<float4*>(out + 4 * me() + 8) = *at;
    }
}

template <bool kFault>
__global__ void never_written_shared(float* out) {
    __shared__ float values[threads];
    if (!kFault || me() != 5) values[me()] = 1.0f;
    __syncthreads();
    out[me()] = values[threads - 1 - me()];
}

template <bool kFault>
__global__ void never_written(float* scratch, float* out) {
    if (!kFault || me() != 5) scratch[me()] = 1.0f;
    __syncthreads();
    if (me() < threads / 4) {
        reinterpret_cast<float4*>(out)[me()] = reinterpret_cast<const float4*>(scratch)[me()];
    }
}

// The parts of a vector are read one by one: the hardware may read them at once nevertheless.
template <bool kFault>
__global__ void alignment_of_parts(const float* in, float* out) {
    const auto* at = reinterpret_cast<const float2*>(in + 2 * me() + (kFault ? 1 : 0));
    out[me()] = at->x + at->y;
}

// A block writes what an earlier one has read, after its own warps have read it too.
template <bool kFault>
__global__ void blocks_reread(float* in, float* out) {
    const float value = in[kFault ? 0 : blockIdx.x];
    __syncthreads();
    if (blockIdx.x == 1 && me() == 0) in[kFault ? 0 : 1] = value + 1.0f;
    out[blockIdx.x * threads + me()] = value;
}

// Half of the block waits at another barrier.
template <bool kFault>
__global__ void divergent(float* out) {
    if (kFault && me() < 32) {
        __syncthreads();
    } else {
        __syncthreads();
    }
    out[me()] = 1.0f;
}

template <bool kFault>
__global__ void ended_before_barrier(float* out) {
    if (kFault && me() >= 32) return;
    __syncthreads();
    out[me()] = 1.0f;
}

template <bool kFault>
__global__ void ended_before_shuffle(float* out) {
    if (kFault && me() == 3) return;
    out[me()] = __shfl_xor_sync(0xffffffffu, 1.0f, 1);
}

template <bool kFault>
__global__ void deadlock(float* out) {
    if (!kFault || me() < 32 || me() % 2 == 0) __syncwarp();
    __syncthreads();
    if (kFault && me() == 33) __syncwarp();
    out[me()] = 1.0f;
}

template <bool kFault>
__global__ void lanes(float* out) {
    out[me()] = __shfl_sync(kFault ? 0xffffu : 0xffffffffu, 1.0f, 0);
}

// Double-buffered copies: kFault leaves out one thing after the other.
enum Pipeline { correct, no_wait, no_barrier, no_commit, too_lenient, no_last_barrier };

template <int kWhat>
__global__ void pipeline(const float* in, float* out) {
    __shared__ alignas(16) float stages[2][threads * 4];
    constexpr int turns = 4;
    float sum = 0.0f;
    __pipeline_memcpy_async(&stages[0][4 * me()], in + 4 * me(), 16);
    __pipeline_commit();
    for (int i = 0; i < turns; ++i) {
        if (i + 1 < turns) {
            __pipeline_memcpy_async(&stages[(i + 1) % 2][4 * me()],
                                    in + (i + 1) * 4 * threads + 4 * me(), 16);
        }
        if (kWhat != no_commit) __pipeline_commit();
        if (kWhat != no_wait) __pipeline_wait_prior(kWhat == too_lenient ? 2 : 1);
        if (kWhat != no_barrier) __syncthreads();
        sum += stages[i % 2][(4 * me() + 129) % (4 * threads)];
        if (kWhat != no_last_barrier) __syncthreads();
    }
    out[me()] = sum;
}

// The source of a copy changes while it is under way.
template <bool kFault>
__global__ void source_changes(float* in, float* out) {
    __shared__ alignas(16) float copy[threads];
    __pipeline_memcpy_async(&copy[me()], in + me(), 4);
    __pipeline_commit();
    if (kFault) in[me()] = -1.0f;
    __pipeline_wait_prior(0);
    out[me()] = copy[me()];
}

template <bool kFault>
__global__ void copy_never_waited_for(const float* in, float* out) {
    __shared__ alignas(16) float copy[threads];
    __pipeline_memcpy_async(&copy[me()], in + me(), 4);
    __pipeline_commit();
    if (!kFault) __pipeline_wait_prior(0);
    out[me()] = 1.0f;
}

// Copies come from device memory alone.
template <bool kFault>
__global__ void copy_of_shared(const float* in, float* out) {
    __shared__ alignas(16) float from[threads], to[threads];
    from[me()] = 1.0f;
    __pipeline_memcpy_async(&to[me()], kFault ? &from[me()] : in + me(), 4);
    __pipeline_commit();
    __pipeline_wait_prior(0);
    out[me()] = to[me()];
}

template <bool kFault>
__global__ void host_memory(const float* in, float* out) {
    out[me()] = in[0];
}

template <bool kFault>
__global__ void program_memory(float* out) {
    float* to = kFault ? &program_variable : out;
    if (me() == 0) *to = 2.0f;
}

template <bool kFault>
__global__ void atomics(int* counts) {
    if (kFault) {
        counts[me() % 4] += 1;
    } else {
        atomicAdd(&counts[me() % 4], 1);
    }
}

struct Big {
    std::int64_t numbers[1000];
};

__global__ void arguments(__grid_constant__ const Big big, const float* in, float* out) {
    out[me()] = in[big.numbers[me()]];
}

__global__ void votes(int* out) {
    const int odd = me() % 2;
    out[8 * me() + 0] = static_cast<int>(__ballot_sync(0xffffffffu, odd));
    out[8 * me() + 1] = __any_sync(0xffffffffu, me() == 40);
    out[8 * me() + 2] = __all_sync(0xffffffffu, me() >= 0);
    out[8 * me() + 3] = __shfl_down_sync(0xffffffffu, me(), 5);
    out[8 * me() + 4] = __shfl_up_sync(0xffffffffu, me(), 5);
    out[8 * me() + 5] = __shfl_xor_sync(0xffffffffu, me(), 6, 8);
    out[8 * me() + 6] = __syncthreads_count(odd);
    out[8 * me() + 7] = __syncthreads_or(me() == 40);
}

// What would be another number were a thread's turn never taken away.
__global__ void turns(int* order) {
    __shared__ int next;
    if (me() == 0) next = 0;
    __syncthreads();
    order[me()] = atomicAdd(&next, 1);
    order[threads + me()] = atomicAdd(&next, 1);
}

// a [16, words], b [8, words] -> a b^T by one instruction; bfloat16 words hold two numbers.
template <bool kBfloat16>
__global__ void product(const unsigned* a, const unsigned* b, float* c) {
    const int g = me() / 4, t = me() % 4;
    const unsigned left[4] = {a[g * 8 + t], a[(g + 8) * 8 + t], a[g * 8 + t + 4],
                              a[(g + 8) * 8 + t + 4]};
    const unsigned right[2] = {b[g * 8 + t], b[g * 8 + t + 4]};
    float sums[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    if (kBfloat16) {
        hostsim::mma_bfloat16(sums, left, right);
    } else {
        hostsim::mma_tf32(sums, left, right);
    }
    for (int i = 0; i < 4; ++i) c[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = sums[i];
}

}  // namespace

// run_NAME(fault, in, out): one kernel, with or without its fault.
#define ENTRY extern "C" __attribute__((visibility("default"))) void
#define RUN(name, grid, ...)                             \
    ENTRY run_##name(int fault, float* in, float* out) { \
        (void)in;                                        \
        if (fault) {                                     \
            name<true><<<grid, threads>>>(__VA_ARGS__);  \
        } else {                                         \
            name<false><<<grid, threads>>>(__VA_ARGS__); \
        }                                                \
    }

RUN(barrier, 1, out)
RUN(warp_barrier, 1, out)
RUN(other_warp, 1, out)
RUN(reuse, 1, out)
RUN(blocks, 2, out)
RUN(blocks_read, 2, out)
RUN(global_bounds, 1, in, out)
RUN(global_bounds_write, 1, in, out)
RUN(shared_bounds, 1, out)
RUN(own_bounds, 1, in, out)
RUN(own_never_written, 1, in, out)
RUN(overflow, 1, in, out)
RUN(too_many_threads, 1, out)
RUN(alignment, 1, in, out)
RUN(alignment_of_parts, 1, in, out)
RUN(blocks_reread, 2, in, out)
RUN(copy_of_shared, 1, in, out)
RUN(never_written_shared, 1, out)
RUN(never_written, 1, in, out)
RUN(divergent, 1, out)
RUN(ended_before_barrier, 1, out)
RUN(ended_before_shuffle, 1, out)
RUN(deadlock, 1, out)
RUN(lanes, 1, out)
RUN(source_changes, 1, in, out)
RUN(copy_never_waited_for, 1, in, out)
RUN(program_memory, 1, out)
RUN(atomics, 2, reinterpret_cast<int*>(in))

ENTRY run_host_memory(int fault, float* in, float* out) {
    const float here = 1.0f;
    host_memory<true><<<1, threads>>>(fault ? &here : in, out);
}

ENTRY run_pipeline(int what, float* in, float* out) {
    switch (what) {
        case correct:
            return pipeline<correct><<<1, threads>>>(in, out);
        case no_wait:
            return pipeline<no_wait><<<1, threads>>>(in, out);
        case no_barrier:
            return pipeline<no_barrier><<<1, threads>>>(in, out);
        case no_commit:
            return pipeline<no_commit><<<1, threads>>>(in, out);
        case too_lenient:
            return pipeline<too_lenient><<<1, threads>>>(in, out);
        default:
            return pipeline<no_last_barrier><<<1, threads>>>(in, out);
    }
}

ENTRY run_arguments(int, float* in, float* out) {
    Big big;
    for (int i = 0; i < 1000; ++i) big.numbers[i] = (i + 7) % threads;
    arguments<<<1, threads>>>(big, in, out);
}

ENTRY run_votes(int, float*, float* out) { votes<<<1, threads>>>(reinterpret_cast<int*>(out)); }

ENTRY run_turns(int, float*, float* out) { turns<<<1, threads>>>(reinterpret_cast<int*>(out)); }

ENTRY run_product(int is_bfloat16, float* in, float* out) {
    const auto* words = reinterpret_cast<const unsigned*>(in);
    if (is_bfloat16) {
        product<true><<<1, 32>>>(words, words + 128, out);
    } else {
        product<false><<<1, 32>>>(words, words + 128, out);
    }
}

ENTRY run_on_stream(int, float*, float* out, void* stream) {
    barrier<false><<<1, threads, 0, static_cast<cudaStream_t>(stream)>>>(out);
}

ENTRY run_no_blocks(int blocks, float*, float* out) { barrier<false><<<blocks, threads>>>(out); }
