// vector_v4.h: the vectors of vector.h, which explains them, for AVX-512: 32 registers of 512 bits.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "cpu/level/vector.h"

namespace sacfast {
namespace SACFAST_LEVEL {

constexpr bool fused = true;  // fma rounds once
struct Floats {
    static constexpr int size = 16;
    __m512 v;
};
struct Doubles {
    __m512d low, high;
};
struct Shorts {
    __m512i v;
};
struct Ints {
    __m512i v;
};

SACFAST_INLINE Floats load(const float* p) { return {_mm512_loadu_ps(p)}; }
SACFAST_INLINE Floats load_first(const float* p, int n) {  // lanes n.. are 0, and not read
    return {_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1u), p)};
}
SACFAST_INLINE Floats all(float x) { return {_mm512_set1_ps(x)}; }
SACFAST_INLINE void store(float* p, Floats x) { _mm512_storeu_ps(p, x.v); }
SACFAST_INLINE void stream(float* p, Floats x) { _mm512_stream_ps(p, x.v); }
// What was streamed is in memory before anything stored later.
SACFAST_INLINE void stream_end() { _mm_sfence(); }
// Lanes from .. to - 1; what lies at the others stays as it is.
SACFAST_INLINE void store_between(float* p, int from, int to, Floats x) {
    _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << to) - (1u << from)), x.v);
}
SACFAST_INLINE Floats add(Floats a, Floats b) { return {_mm512_add_ps(a.v, b.v)}; }
SACFAST_INLINE Floats sub(Floats a, Floats b) { return {_mm512_sub_ps(a.v, b.v)}; }
SACFAST_INLINE Floats mul(Floats a, Floats b) { return {_mm512_mul_ps(a.v, b.v)}; }
SACFAST_INLINE Floats max(Floats a, Floats b) { return {_mm512_max_ps(a.v, b.v)}; }
SACFAST_INLINE Floats min(Floats a, Floats b) { return {_mm512_min_ps(a.v, b.v)}; }
SACFAST_INLINE Floats fma(Floats a, Floats b, Floats c) {  // a * b + c
    return {_mm512_fmadd_ps(a.v, b.v, c.v)};
}
// Whether any lane of a differs from b's; NaN differs from everything.
SACFAST_INLINE bool differ(Floats a, Floats b) {
    return _mm512_cmp_ps_mask(a.v, b.v, _CMP_NEQ_UQ) != 0;
}
SACFAST_INLINE void keep(Floats& x) { asm("" : "+v"(x.v)); }
SACFAST_INLINE Floats sums(const Floats* x) {
    __m512 pairs[8], quads[4], halves[2];  // of every 128 bits: 2 sums of 2, 1 sum of 4; then both
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
        pairs[i] = _mm512_add_ps(_mm512_unpacklo_ps(x[2 * i].v, x[2 * i + 1].v),
                                 _mm512_unpackhi_ps(x[2 * i].v, x[2 * i + 1].v));
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
        const __m512d even = _mm512_castps_pd(pairs[2 * i]);
        const __m512d odd = _mm512_castps_pd(pairs[2 * i + 1]);
        quads[i] = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(even, odd)),
                                 _mm512_castpd_ps(_mm512_unpackhi_pd(even, odd)));
    }
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
        halves[i] = _mm512_add_ps(_mm512_shuffle_f32x4(quads[2 * i], quads[2 * i + 1], 0x88),
                                  _mm512_shuffle_f32x4(quads[2 * i], quads[2 * i + 1], 0xdd));
    }
    return {_mm512_add_ps(_mm512_shuffle_f32x4(halves[0], halves[1], 0x88),
                          _mm512_shuffle_f32x4(halves[0], halves[1], 0xdd))};
}

// x[i] of lane j and x[j] of lane i change places.
SACFAST_INLINE void transpose(Floats* x) {
    __m512 t[16];
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {  // within 128 bits: pairs of rows ...
        t[2 * i] = _mm512_unpacklo_ps(x[2 * i].v, x[2 * i + 1].v);
        t[2 * i + 1] = _mm512_unpackhi_ps(x[2 * i].v, x[2 * i + 1].v);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {  // ... then four
        const __m512d a = _mm512_castps_pd(t[4 * i]), b = _mm512_castps_pd(t[4 * i + 1]);
        const __m512d c = _mm512_castps_pd(t[4 * i + 2]), d = _mm512_castps_pd(t[4 * i + 3]);
        x[4 * i].v = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
        x[4 * i + 1].v = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
        x[4 * i + 2].v = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
        x[4 * i + 3].v = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {  // then the blocks of 128 bits
        t[i] = _mm512_shuffle_f32x4(x[i].v, x[i + 4].v, 0x88);
        t[i + 4] = _mm512_shuffle_f32x4(x[i].v, x[i + 4].v, 0xdd);
        t[i + 8] = _mm512_shuffle_f32x4(x[i + 8].v, x[i + 12].v, 0x88);
        t[i + 12] = _mm512_shuffle_f32x4(x[i + 8].v, x[i + 12].v, 0xdd);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
        x[i].v = _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88);
        x[i + 4].v = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0x88);
        x[i + 8].v = _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd);
        x[i + 12].v = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0xdd);
    }
}

SACFAST_INLINE Doubles load(const double* p) {
    return {_mm512_loadu_pd(p), _mm512_loadu_pd(p + 8)};
}
SACFAST_INLINE Doubles all(double x) { return {_mm512_set1_pd(x), _mm512_set1_pd(x)}; }
SACFAST_INLINE void store(double* p, Doubles x) {
    _mm512_storeu_pd(p, x.low);
    _mm512_storeu_pd(p + 8, x.high);
}
SACFAST_INLINE Doubles add(Doubles a, Doubles b) {
    return {_mm512_add_pd(a.low, b.low), _mm512_add_pd(a.high, b.high)};
}
SACFAST_INLINE Doubles sub(Doubles a, Doubles b) {
    return {_mm512_sub_pd(a.low, b.low), _mm512_sub_pd(a.high, b.high)};
}
SACFAST_INLINE Doubles mul(Doubles a, Doubles b) {
    return {_mm512_mul_pd(a.low, b.low), _mm512_mul_pd(a.high, b.high)};
}
SACFAST_INLINE Doubles fma(Doubles a, Doubles b, Doubles c) {
    return {_mm512_fmadd_pd(a.low, b.low, c.low), _mm512_fmadd_pd(a.high, b.high, c.high)};
}
SACFAST_INLINE Doubles fms(Doubles a, Doubles b, Doubles c) {  // a * b - c
    return {_mm512_fmsub_pd(a.low, b.low, c.low), _mm512_fmsub_pd(a.high, b.high, c.high)};
}
SACFAST_INLINE Doubles div(Doubles a, Doubles b) {
    return {_mm512_div_pd(a.low, b.low), _mm512_div_pd(a.high, b.high)};
}
SACFAST_INLINE Doubles max(Doubles a, Doubles b) {
    return {_mm512_max_pd(a.low, b.low), _mm512_max_pd(a.high, b.high)};
}
SACFAST_INLINE Doubles abs(Doubles x) { return {_mm512_abs_pd(x.low), _mm512_abs_pd(x.high)}; }
SACFAST_INLINE Doubles load_wide(const float* p) {  // Floats::size values
    return {_mm512_cvtps_pd(_mm256_loadu_ps(p)), _mm512_cvtps_pd(_mm256_loadu_ps(p + 8))};
}
SACFAST_INLINE Doubles load_wide(const double* p) { return load(p); }
// The sum over the lanes: the upper half onto the lower one, until one is left.
SACFAST_INLINE double lane_sum(Doubles x) {
    const __m512d eight = _mm512_add_pd(x.low, x.high);
    const __m256d four =
        _mm256_add_pd(_mm512_castpd512_pd256(eight), _mm512_extractf64x4_pd(eight, 1));
    const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}
SACFAST_INLINE Doubles widen(Floats x) {
    return {_mm512_cvtps_pd(_mm512_castps512_ps256(x.v)),
            _mm512_cvtps_pd(_mm512_extractf32x8_ps(x.v, 1))};
}
SACFAST_INLINE Floats narrow(Doubles x) {
    return {_mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(x.low)),
                               _mm512_cvtpd_ps(x.high), 1)};
}

SACFAST_INLINE Shorts load(const std::int16_t* p) { return {_mm512_loadu_si512(p)}; }
SACFAST_INLINE Shorts max(Shorts a, Shorts b) { return {_mm512_max_epi16(a.v, b.v)}; }
SACFAST_INLINE void keep(Shorts& x) { asm("" : "+v"(x.v)); }
SACFAST_INLINE Ints no_ints() { return {_mm512_setzero_si512()}; }
// acc + the sum of each pair of neighbours in x. GCC 12 spills around the intrinsic: hence asm.
SACFAST_INLINE void add_pairs(Ints& acc, Shorts x) {
    const __m512i ones = _mm512_set1_epi16(1);
    asm("vpdpwssd %2, %1, %0" : "+v"(acc.v) : "v"(x.v), "v"(ones));
}
SACFAST_INLINE Ints add(Ints a, Ints b) { return {_mm512_add_epi32(a.v, b.v)}; }
SACFAST_INLINE Ints sums(const Ints* x) {
    __m512i pairs[8], quads[4], halves[2];  // as for Floats
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
        pairs[i] = _mm512_add_epi32(_mm512_unpacklo_epi32(x[2 * i].v, x[2 * i + 1].v),
                                    _mm512_unpackhi_epi32(x[2 * i].v, x[2 * i + 1].v));
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
        quads[i] = _mm512_add_epi32(_mm512_unpacklo_epi64(pairs[2 * i], pairs[2 * i + 1]),
                                    _mm512_unpackhi_epi64(pairs[2 * i], pairs[2 * i + 1]));
    }
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
        halves[i] = _mm512_add_epi32(_mm512_shuffle_i32x4(quads[2 * i], quads[2 * i + 1], 0x88),
                                     _mm512_shuffle_i32x4(quads[2 * i], quads[2 * i + 1], 0xdd));
    }
    return {_mm512_add_epi32(_mm512_shuffle_i32x4(halves[0], halves[1], 0x88),
                             _mm512_shuffle_i32x4(halves[0], halves[1], 0xdd))};
}
// Whole numbers within int16, Floats::size of them.
SACFAST_INLINE void store(std::int16_t* p, Floats x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(x.v)));
}
SACFAST_INLINE void store(std::int32_t* p, Ints x) { _mm512_storeu_si512(p, x.v); }

}  // namespace SACFAST_LEVEL
}  // namespace sacfast
