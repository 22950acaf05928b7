// vector.h: the vectors that the kernels in this folder are written with, one form per level.
//
//   Floats   Floats::size float32: 16 on v4, 8 on v3, 4 on baseline
//   Doubles  as many float64, in two registers: the same lanes at twice the precision
//   Shorts   2 * Floats::size int16
//   Ints     Floats::size int32: sums of products of Shorts
//
// sums(x) takes Floats::size vectors and returns one: lane i is the sum over the lanes of x[i],
// added as a tree, the same for every i. Transposing as it adds, it costs three instructions a
// vector.
//
// A kernel names no instruction: it uses the operations below. Loads and stores take any address;
// `stream` an aligned one (it writes past the caches: for results that nobody reads soon).
// fma rounds once on v3 and v4; the baseline has no fused instruction and rounds twice.
//
// keep(x) does nothing to x but tells the compiler that it may have changed: GCC then holds a
// loaded vector in its register instead of loading it again in every instruction that uses it.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define SACFAST_INLINE inline __attribute__((always_inline))

namespace sacfast {
namespace SACFAST_LEVEL {

// std::min is not to be had here: cpu/level.h says why.
SACFAST_INLINE constexpr std::int64_t smaller(std::int64_t a, std::int64_t b) {
    return a < b ? a : b;
}

#if defined(__AVX512F__)

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

#elif defined(__AVX2__)

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

#else

typedef float Float4 __attribute__((vector_size(16)));
typedef double Double2 __attribute__((vector_size(16)));
typedef std::int16_t Short8 __attribute__((vector_size(16)));
typedef std::int32_t Int4 __attribute__((vector_size(16)));

constexpr bool fused = false;
struct Floats {
    static constexpr int size = 4;
    Float4 v;
};
struct Doubles {
    Double2 low, high;
};
struct Shorts {
    Short8 v;
};
struct Ints {
    Int4 v;
};

SACFAST_INLINE Floats load(const float* p) {
    Floats x;
    __builtin_memcpy(&x.v, p, sizeof x.v);
    return x;
}
SACFAST_INLINE Floats load_first(const float* p, int n) {  // lanes n.. are 0, and not read
    Floats x = {Float4{0.0f, 0.0f, 0.0f, 0.0f}};
    for (int i = 0; i < n; ++i) x.v[i] = p[i];
    return x;
}
SACFAST_INLINE Floats all(float x) { return {Float4{x, x, x, x}}; }
SACFAST_INLINE void store(float* p, Floats x) { __builtin_memcpy(p, &x.v, sizeof x.v); }
SACFAST_INLINE void stream(float* p, Floats x) { store(p, x); }
SACFAST_INLINE void stream_end() {}
SACFAST_INLINE void store_between(float* p, int from, int to, Floats x) {
    for (int i = from; i < to; ++i) p[i] = x.v[i];
}
SACFAST_INLINE Floats add(Floats a, Floats b) { return {a.v + b.v}; }
SACFAST_INLINE Floats sub(Floats a, Floats b) { return {a.v - b.v}; }
SACFAST_INLINE Floats mul(Floats a, Floats b) { return {a.v * b.v}; }
// Of a NaN and a number the second operand, as the instructions of the other levels have it.
SACFAST_INLINE Floats max(Floats a, Floats b) { return {a.v > b.v ? a.v : b.v}; }
SACFAST_INLINE Floats min(Floats a, Floats b) { return {a.v < b.v ? a.v : b.v}; }
SACFAST_INLINE Floats fma(Floats a, Floats b, Floats c) { return {a.v * b.v + c.v}; }
SACFAST_INLINE bool differ(Floats a, Floats b) {
    const Int4 unequal = a.v != b.v;
    return (unequal[0] | unequal[1] | unequal[2] | unequal[3]) != 0;
}
SACFAST_INLINE void keep(Floats&) {}
SACFAST_INLINE Floats sums(const Floats* x) {
    Floats sum;
    for (int i = 0; i < 4; ++i) sum.v[i] = (x[i].v[0] + x[i].v[1]) + (x[i].v[2] + x[i].v[3]);
    return sum;
}

SACFAST_INLINE void transpose(Floats* x) {
    for (int i = 0; i < 4; ++i) {
        for (int j = 0; j < i; ++j) {
            const float swapped = x[i].v[j];
            x[i].v[j] = x[j].v[i];
            x[j].v[i] = swapped;
        }
    }
}

SACFAST_INLINE Doubles load(const double* p) {
    Doubles x;
    __builtin_memcpy(&x.low, p, sizeof x.low);
    __builtin_memcpy(&x.high, p + 2, sizeof x.high);
    return x;
}
SACFAST_INLINE Doubles all(double x) { return {Double2{x, x}, Double2{x, x}}; }
SACFAST_INLINE void store(double* p, Doubles x) {
    __builtin_memcpy(p, &x.low, sizeof x.low);
    __builtin_memcpy(p + 2, &x.high, sizeof x.high);
}
SACFAST_INLINE Doubles add(Doubles a, Doubles b) { return {a.low + b.low, a.high + b.high}; }
SACFAST_INLINE Doubles sub(Doubles a, Doubles b) { return {a.low - b.low, a.high - b.high}; }
SACFAST_INLINE Doubles mul(Doubles a, Doubles b) { return {a.low * b.low, a.high * b.high}; }
SACFAST_INLINE Doubles fma(Doubles a, Doubles b, Doubles c) { return add(mul(a, b), c); }
SACFAST_INLINE Doubles fms(Doubles a, Doubles b, Doubles c) { return sub(mul(a, b), c); }
SACFAST_INLINE Doubles div(Doubles a, Doubles b) { return {a.low / b.low, a.high / b.high}; }
SACFAST_INLINE Doubles max(Doubles a, Doubles b) {
    return {a.low > b.low ? a.low : b.low, a.high > b.high ? a.high : b.high};
}
SACFAST_INLINE Doubles abs(Doubles x) {
    return {x.low < 0.0 ? -x.low : x.low, x.high < 0.0 ? -x.high : x.high};
}
SACFAST_INLINE double lane_sum(Doubles x) {
    const Double2 two = x.low + x.high;
    return two[0] + two[1];
}
SACFAST_INLINE Doubles widen(Floats x) {
    return {Double2{x.v[0], x.v[1]}, Double2{x.v[2], x.v[3]}};
}
SACFAST_INLINE Doubles load_wide(const float* p) { return widen(load(p)); }
SACFAST_INLINE Doubles load_wide(const double* p) { return load(p); }
SACFAST_INLINE Floats narrow(Doubles x) {
    return {Float4{static_cast<float>(x.low[0]), static_cast<float>(x.low[1]),
                   static_cast<float>(x.high[0]), static_cast<float>(x.high[1])}};
}

SACFAST_INLINE Shorts load(const std::int16_t* p) {
    Shorts x;
    __builtin_memcpy(&x.v, p, sizeof x.v);
    return x;
}
SACFAST_INLINE Shorts max(Shorts a, Shorts b) { return {a.v > b.v ? a.v : b.v}; }
SACFAST_INLINE void keep(Shorts&) {}
SACFAST_INLINE Ints no_ints() { return {Int4{0, 0, 0, 0}}; }
// acc + the sum of each pair of neighbours in x: sign-extended odd and even halves of 32 bits.
SACFAST_INLINE void add_pairs(Ints& acc, Shorts x) {
    Int4 pairs;
    __builtin_memcpy(&pairs, &x.v, sizeof pairs);
    acc.v += (pairs >> 16) + ((pairs << 16) >> 16);
}
SACFAST_INLINE Ints add(Ints a, Ints b) { return {a.v + b.v}; }
SACFAST_INLINE Ints sums(const Ints* x) {
    Ints sum;
    for (int i = 0; i < 4; ++i) sum.v[i] = (x[i].v[0] + x[i].v[1]) + (x[i].v[2] + x[i].v[3]);
    return sum;
}
// Whole numbers within int16, Floats::size of them.
SACFAST_INLINE void store(std::int16_t* p, Floats x) {
    for (int i = 0; i < 4; ++i) p[i] = static_cast<std::int16_t>(x.v[i]);
}
SACFAST_INLINE void store(std::int32_t* p, Ints x) { __builtin_memcpy(p, &x.v, sizeof x.v); }

#endif

// total += sum, Floats::size numbers in memory; sum becomes what that addition lost.
SACFAST_INLINE void add_chain(float* total, Floats& sum) {
    const Floats before = load(total), after = add(before, sum);
    store(total, after);
    sum = sub(sum, sub(after, before));
}

}  // namespace SACFAST_LEVEL
}  // namespace sacfast
