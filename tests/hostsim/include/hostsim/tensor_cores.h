// tensor_cores.h: stand-ins for the mma.sync instructions of csrc/cuda/mma.cuh.
//
// How the hardware rounds its sums is not promised. Measurements of it in the literature (Fasi,
// Higham, Mikaitis, Pranesh, "Numerical behavior of NVIDIA tensor cores", 2021) show: products
// exact; all addends of one instruction, c among them, shifted to the largest one's exponent and
// cut off there; the sum cut off to float32. This is done here with no guard bit at all, which is
// worse than any device they saw: an error bound that holds here holds there.
#pragma once

#include <cstdint>

#include "hostsim/mathematics.h"
#include "hostsim/warp.h"

namespace hostsim {

// c, two addends of float32's 24 bits each a product: sums of `count` numbers as described above.
float truncated_sum(const double* addends, int count);

struct Fragments {
    std::uint32_t a[4], b[2];
};

inline float tf32(std::uint32_t word) { return __uint_as_float(word & 0xffffe000u); }
inline float bfloat16(std::uint32_t word, int half) {
    return __uint_as_float(half == 0 ? word << 16 : word & 0xffff0000u);
}

// Element (row, k) of a lies in lane 4 (row % 8) + k % 4 (of words), register 2 (k / 4) + row / 8;
// element (k, column) of b in lane 4 column + k % 4, register k / 4.
template <int kHalves>
void multiply_fragments(float* c, const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                        const char* operation, Site site) {
    Fragments mine;
    for (int i = 0; i < 4; ++i) mine.a[i] = a[i];
    for (int i = 0; i < 2; ++i) mine.b[i] = b[i];
    const Lanes<Fragments> all = exchange(0xffffffffu, operation, site, mine);
    const int group = lane() / 4, t = lane() % 4;
    for (int i = 0; i < 4; ++i) {
        const int row = group + i / 2 * 8, column = 2 * t + i % 2;
        double addends[1 + 8 * kHalves];
        addends[0] = c[i];
        for (int word = 0; word < 8; ++word) {
            const std::uint32_t left = all.of[row % 8 * 4 + word % 4].a[word / 4 * 2 + row / 8];
            const std::uint32_t right = all.of[column * 4 + word % 4].b[word / 4];
            for (int half = 0; half < kHalves; ++half) {
                const double x = kHalves == 1 ? tf32(left) : bfloat16(left, half);
                const double y = kHalves == 1 ? tf32(right) : bfloat16(right, half);
                addends[1 + word * kHalves + half] = x * y;
            }
        }
        c[i] = truncated_sum(addends, 1 + 8 * kHalves);
    }
}

inline void mma_tf32(float* c, const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                     const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    multiply_fragments<1>(c, a, b, "mma.sync tf32", {file, line});
}
inline void mma_bfloat16(float* c, const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                         const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    multiply_fragments<2>(c, a, b, "mma.sync bfloat16", {file, line});
}

}  // namespace hostsim
