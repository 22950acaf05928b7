// mma.cuh: the two tensor-core instructions in use, and the numbers they read. Inline PTX is here
// and in primitives.cuh alone; tests/hostsim has a stand-in for each piece.
//
// Both add a 16 x 8 tile: c += a b^T, by the 32 lanes of a warp together. Lane l = 4 g + t holds
//
//   c[0..3]  rows g, g, g + 8, g + 8; columns 2t, 2t + 1, 2t, 2t + 1
//   a[0..3]  rows g, g + 8, g, g + 8; words t, t, t + 4, t + 4
//   b[0..1]  column g; words t, t + 4
//
// where a word is one TF32 number (m16n8k8) or two bfloat16 ones (m16n8k16): the same addresses
// serve both. Sums are float32, but nobody promises how they are rounded. Devices were seen to
// shift all addends to the largest one's exponent and cut off there (Fasi, Higham, Mikaitis,
// Pranesh, "Numerical behavior of NVIDIA tensor cores", 2021): with no bit to spare, the worst,
// each of eight products and the sum cost 2^-23 of the largest, to one side.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace sacfast::cuda {

// x as a sum of two TF32 numbers, which have 10 bits behind the point: `high` is cut off there,
// `low` is what is left, rounded, but for 2^-21 |x|. The instruction ignores the 13 bits behind; in
// `low` they are not cleared. NaN stays NaN in `high`.
struct Split {
    std::uint32_t high;
    std::uint32_t low;
};

__device__ __forceinline__ Split split(float x) {
    const std::uint32_t high = __float_as_uint(x) & 0xffffe000u;
    const float rest = x - __uint_as_float(high);  // exact
    return {high, __float_as_uint(rest) + 0x1000u};
}

__device__ __forceinline__ void mma_tf32(float* c, const std::uint32_t (&a)[4],
                                         const std::uint32_t (&b)[2]) {
#ifdef SACFAST_HOSTSIM
    hostsim::mma_tf32(c, a, b);
#else
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

__device__ __forceinline__ void mma_bfloat16(float* c, const std::uint32_t (&a)[4],
                                             const std::uint32_t (&b)[2]) {
#ifdef SACFAST_HOSTSIM
    hostsim::mma_bfloat16(c, a, b);
#else
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

}  // namespace sacfast::cuda
