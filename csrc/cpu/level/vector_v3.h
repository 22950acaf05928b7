// vector_v3.h: the vectors of vector.h, which explains them, for AVX2 and FMA: 16 registers of 256
// bits.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "cpu/level/vector.h"

namespace sacfast {
namespace SACFAST_LEVEL {

constexpr bool fused = true;  // fma rounds once
struct Floats {
    static constexpr int size = 8;
    __m256 v;
};
struct Doubles {
    __m256d low, high;
};
struct Shorts {
    __m256i v;
};
struct Ints {
    __m256i v;
};

SACFAST_INLINE Floats load(const float* p) { return {_mm256_loadu_ps(p)}; }
SACFAST_INLINE Floats load_first(const float* p, int n) {  // lanes n.. are 0, and not read
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return {_mm256_maskload_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane))};
}
SACFAST_INLINE Floats all(float x) { return {_mm256_set1_ps(x)}; }
SACFAST_INLINE void store(float* p, Floats x) { _mm256_storeu_ps(p, x.v); }
SACFAST_INLINE void stream(float* p, Floats x) { _mm256_stream_ps(p, x.v); }
SACFAST_INLINE void stream_end() { _mm_sfence(); }
// Reads and rewrites the other lanes: masked stores are slow on AMD's processors of this level.
SACFAST_INLINE void store_between(float* p, int from, int to, Floats x) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i within = _mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32(from), lane),
                                               _mm256_cmpgt_epi32(_mm256_set1_epi32(to), lane));
    _mm256_storeu_ps(p, _mm256_blendv_ps(_mm256_loadu_ps(p), x.v, _mm256_castsi256_ps(within)));
}
SACFAST_INLINE Floats add(Floats a, Floats b) { return {_mm256_add_ps(a.v, b.v)}; }
SACFAST_INLINE Floats sub(Floats a, Floats b) { return {_mm256_sub_ps(a.v, b.v)}; }
SACFAST_INLINE Floats mul(Floats a, Floats b) { return {_mm256_mul_ps(a.v, b.v)}; }
SACFAST_INLINE Floats max(Floats a, Floats b) { return {_mm256_max_ps(a.v, b.v)}; }
SACFAST_INLINE Floats min(Floats a, Floats b) { return {_mm256_min_ps(a.v, b.v)}; }
SACFAST_INLINE Floats fma(Floats a, Floats b, Floats c) {  // a * b + c
    return {_mm256_fmadd_ps(a.v, b.v, c.v)};
}
SACFAST_INLINE bool differ(Floats a, Floats b) {
    return _mm256_movemask_ps(_mm256_cmp_ps(a.v, b.v, _CMP_NEQ_UQ)) != 0;
}
SACFAST_INLINE void keep(Floats& x) { asm("" : "+x"(x.v)); }
SACFAST_INLINE Floats sums(const Floats* x) {
    const __m256 low =
        _mm256_hadd_ps(_mm256_hadd_ps(x[0].v, x[1].v),  // of each 128 bits: four sums
                       _mm256_hadd_ps(x[2].v, x[3].v));
    const __m256 high =
        _mm256_hadd_ps(_mm256_hadd_ps(x[4].v, x[5].v), _mm256_hadd_ps(x[6].v, x[7].v));
    return {_mm256_add_ps(_mm256_permute2f128_ps(low, high, 0x20),
                          _mm256_permute2f128_ps(low, high, 0x31))};
}

SACFAST_INLINE void transpose(Floats* x) {
    __m256 t[8];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {  // within 128 bits: pairs of rows ...
        t[2 * i] = _mm256_unpacklo_ps(x[2 * i].v, x[2 * i + 1].v);
        t[2 * i + 1] = _mm256_unpackhi_ps(x[2 * i].v, x[2 * i + 1].v);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {  // ... then four
        x[4 * i].v = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
        x[4 * i + 1].v = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0xee);
        x[4 * i + 2].v = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
        x[4 * i + 3].v = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xee);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {  // then the halves
        const __m256 low = x[i].v, high = x[i + 4].v;
        x[i].v = _mm256_permute2f128_ps(low, high, 0x20);
        x[i + 4].v = _mm256_permute2f128_ps(low, high, 0x31);
    }
}

SACFAST_INLINE Doubles load(const double* p) {
    return {_mm256_loadu_pd(p), _mm256_loadu_pd(p + 4)};
}
SACFAST_INLINE Doubles all(double x) { return {_mm256_set1_pd(x), _mm256_set1_pd(x)}; }
SACFAST_INLINE void store(double* p, Doubles x) {
    _mm256_storeu_pd(p, x.low);
    _mm256_storeu_pd(p + 4, x.high);
}
SACFAST_INLINE Doubles add(Doubles a, Doubles b) {
    return {_mm256_add_pd(a.low, b.low), _mm256_add_pd(a.high, b.high)};
}
SACFAST_INLINE Doubles sub(Doubles a, Doubles b) {
    return {_mm256_sub_pd(a.low, b.low), _mm256_sub_pd(a.high, b.high)};
}
SACFAST_INLINE Doubles mul(Doubles a, Doubles b) {
    return {_mm256_mul_pd(a.low, b.low), _mm256_mul_pd(a.high, b.high)};
}
SACFAST_INLINE Doubles fma(Doubles a, Doubles b, Doubles c) {
    return {_mm256_fmadd_pd(a.low, b.low, c.low), _mm256_fmadd_pd(a.high, b.high, c.high)};
}
SACFAST_INLINE Doubles fms(Doubles a, Doubles b, Doubles c) {
    return {_mm256_fmsub_pd(a.low, b.low, c.low), _mm256_fmsub_pd(a.high, b.high, c.high)};
}
SACFAST_INLINE Doubles div(Doubles a, Doubles b) {
    return {_mm256_div_pd(a.low, b.low), _mm256_div_pd(a.high, b.high)};
}
SACFAST_INLINE Doubles max(Doubles a, Doubles b) {
    return {_mm256_max_pd(a.low, b.low), _mm256_max_pd(a.high, b.high)};
}
SACFAST_INLINE Doubles abs(Doubles x) {
    return {_mm256_andnot_pd(_mm256_set1_pd(-0.0), x.low),
            _mm256_andnot_pd(_mm256_set1_pd(-0.0), x.high)};
}
SACFAST_INLINE Doubles load_wide(const float* p) {
    return {_mm256_cvtps_pd(_mm_loadu_ps(p)), _mm256_cvtps_pd(_mm_loadu_ps(p + 4))};
}
SACFAST_INLINE Doubles load_wide(const double* p) { return load(p); }
SACFAST_INLINE double lane_sum(Doubles x) {
    const __m256d four = _mm256_add_pd(x.low, x.high);
    const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}
SACFAST_INLINE Doubles widen(Floats x) {
    return {_mm256_cvtps_pd(_mm256_castps256_ps128(x.v)),
            _mm256_cvtps_pd(_mm256_extractf128_ps(x.v, 1))};
}
SACFAST_INLINE Floats narrow(Doubles x) {
    return {_mm256_set_m128(_mm256_cvtpd_ps(x.high), _mm256_cvtpd_ps(x.low))};
}

SACFAST_INLINE Shorts load(const std::int16_t* p) {
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))};
}
SACFAST_INLINE Shorts max(Shorts a, Shorts b) { return {_mm256_max_epi16(a.v, b.v)}; }
SACFAST_INLINE void keep(Shorts& x) { asm("" : "+x"(x.v)); }
SACFAST_INLINE Ints no_ints() { return {_mm256_setzero_si256()}; }
// acc + the sum of each pair of neighbours in x.
SACFAST_INLINE void add_pairs(Ints& acc, Shorts x) {
    acc.v = _mm256_add_epi32(acc.v, _mm256_madd_epi16(x.v, _mm256_set1_epi16(1)));
    asm("" : "+x"(acc.v));  // or GCC puts all additions last, and spills
}
SACFAST_INLINE Ints add(Ints a, Ints b) { return {_mm256_add_epi32(a.v, b.v)}; }
SACFAST_INLINE Ints sums(const Ints* x) {
    const __m256i low =
        _mm256_hadd_epi32(_mm256_hadd_epi32(x[0].v, x[1].v), _mm256_hadd_epi32(x[2].v, x[3].v));
    const __m256i high =
        _mm256_hadd_epi32(_mm256_hadd_epi32(x[4].v, x[5].v), _mm256_hadd_epi32(x[6].v, x[7].v));
    return {_mm256_add_epi32(_mm256_permute2x128_si256(low, high, 0x20),
                             _mm256_permute2x128_si256(low, high, 0x31))};
}
// Whole numbers within int16, Floats::size of them.
SACFAST_INLINE void store(std::int16_t* p, Floats x) {
    const __m256i wide = _mm256_cvtps_epi32(x.v);
    _mm_storeu_si128(
        reinterpret_cast<__m128i*>(p),
        _mm_packs_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1)));
}
SACFAST_INLINE void store(std::int32_t* p, Ints x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x.v);
}

}  // namespace SACFAST_LEVEL
}  // namespace sacfast
