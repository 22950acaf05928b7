// words.h: the vectors of whole numbers, bits and 16-bit floats, one form per level.
//
// What vector.h is for arithmetic, this is for reading and counting:
//
//   Codes    Floats::size int32, to be compared
//   Words    Floats::size / 2 uint64, sets of bits
//
// Loads and stores take any address.
#pragma once

#include "cpu/level/vector.h"

namespace sacfast {
namespace SACFAST_LEVEL {

#if defined(__AVX512F__)

struct Codes {
    __m512i v;
};
struct Words {
    static constexpr int size = 8;
    __m512i v;
};

SACFAST_INLINE Codes load_codes(const std::int32_t* p) { return {_mm512_loadu_si512(p)}; }
SACFAST_INLINE Codes all_codes(std::int32_t x) { return {_mm512_set1_epi32(x)}; }
// 1 in the lanes where a = b, else 0: as numbers, and as bits.
SACFAST_INLINE Floats ones_where_equal(Codes a, Codes b) {
    return {_mm512_maskz_mov_ps(_mm512_cmpeq_epi32_mask(a.v, b.v), _mm512_set1_ps(1.0f))};
}
SACFAST_INLINE std::uint64_t bits_where_equal(Codes a, Codes b) {
    return _mm512_cmpeq_epi32_mask(a.v, b.v);
}

SACFAST_INLINE Words load(const std::uint64_t* p) { return {_mm512_loadu_si512(p)}; }
SACFAST_INLINE Words no_bits() { return {_mm512_setzero_si512()}; }
SACFAST_INLINE void store(std::uint64_t* p, Words x) { _mm512_storeu_si512(p, x.v); }
SACFAST_INLINE Words differing(Words a, Words b) { return {_mm512_xor_si512(a.v, b.v)}; }
SACFAST_INLINE Words add(Words a, Words b) { return {_mm512_add_epi64(a.v, b.v)}; }
SACFAST_INLINE Words twice(Words x) { return {_mm512_slli_epi64(x.v, 1)}; }
// The two digits of a + b + c, bit by bit.
SACFAST_INLINE Words sum_digit(Words a, Words b, Words c) {
    return {_mm512_ternarylogic_epi64(a.v, b.v, c.v, 0x96)};
}
SACFAST_INLINE Words carry_digit(Words a, Words b, Words c) {
    return {_mm512_ternarylogic_epi64(a.v, b.v, c.v, 0xe8)};
}
// How many bits of each word are set: looked up for each half byte, bytes added up.
SACFAST_INLINE Words count(Words x) {
    const __m512i table =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    const __m512i low = _mm512_set1_epi8(15);
    const __m512i a = _mm512_shuffle_epi8(table, _mm512_and_si512(x.v, low));
    const __m512i b = _mm512_shuffle_epi8(table, _mm512_and_si512(_mm512_srli_epi16(x.v, 4), low));
    return {_mm512_sad_epu8(_mm512_add_epi8(a, b), _mm512_setzero_si512())};
}

SACFAST_INLINE Floats load_half(const std::uint16_t* p) {
    return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
SACFAST_INLINE Floats load_bfloat(const std::uint16_t* p) {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16))};
}

#elif defined(__AVX2__)

struct Codes {
    __m256i v;
};
struct Words {
    static constexpr int size = 4;
    __m256i v;
};

SACFAST_INLINE Codes load_codes(const std::int32_t* p) {
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))};
}
SACFAST_INLINE Codes all_codes(std::int32_t x) { return {_mm256_set1_epi32(x)}; }
// 1 in the lanes where a = b, else 0: as numbers, and as bits.
SACFAST_INLINE Floats ones_where_equal(Codes a, Codes b) {
    const __m256 equal = _mm256_castsi256_ps(_mm256_cmpeq_epi32(a.v, b.v));
    return {_mm256_and_ps(equal, _mm256_set1_ps(1.0f))};
}
SACFAST_INLINE std::uint64_t bits_where_equal(Codes a, Codes b) {
    const __m256 equal = _mm256_castsi256_ps(_mm256_cmpeq_epi32(a.v, b.v));
    return static_cast<std::uint64_t>(_mm256_movemask_ps(equal));
}

SACFAST_INLINE Words load(const std::uint64_t* p) {
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))};
}
SACFAST_INLINE Words no_bits() { return {_mm256_setzero_si256()}; }
SACFAST_INLINE void store(std::uint64_t* p, Words x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x.v);
}
SACFAST_INLINE Words differing(Words a, Words b) { return {_mm256_xor_si256(a.v, b.v)}; }
SACFAST_INLINE Words add(Words a, Words b) { return {_mm256_add_epi64(a.v, b.v)}; }
SACFAST_INLINE Words twice(Words x) { return {_mm256_slli_epi64(x.v, 1)}; }
// The two digits of a + b + c, bit by bit.
SACFAST_INLINE Words sum_digit(Words a, Words b, Words c) {
    return {_mm256_xor_si256(_mm256_xor_si256(a.v, b.v), c.v)};
}
SACFAST_INLINE Words carry_digit(Words a, Words b, Words c) {
    const __m256i odd = _mm256_xor_si256(a.v, b.v);
    return {_mm256_or_si256(_mm256_and_si256(a.v, b.v), _mm256_and_si256(odd, c.v))};
}
// How many bits of each word are set: looked up for each half byte, bytes added up.
SACFAST_INLINE Words count(Words x) {
    const __m256i table =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    const __m256i low = _mm256_set1_epi8(15);
    const __m256i a = _mm256_shuffle_epi8(table, _mm256_and_si256(x.v, low));
    const __m256i b = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(x.v, 4), low));
    return {_mm256_sad_epu8(_mm256_add_epi8(a, b), _mm256_setzero_si256())};
}

SACFAST_INLINE Floats load_half(const std::uint16_t* p) {
    return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}
SACFAST_INLINE Floats load_bfloat(const std::uint16_t* p) {
    const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16))};
}

#else

typedef std::uint32_t Uint4 __attribute__((vector_size(16)));
typedef std::uint64_t Uint2 __attribute__((vector_size(16)));

struct Codes {
    Int4 v;
};
struct Words {
    static constexpr int size = 2;
    Uint2 v;
};

SACFAST_INLINE Codes load_codes(const std::int32_t* p) {
    Codes x;
    __builtin_memcpy(&x.v, p, sizeof x.v);
    return x;
}
SACFAST_INLINE Codes all_codes(std::int32_t x) { return {Int4{x, x, x, x}}; }
// 1 in the lanes where a = b, else 0: as numbers, and as bits.
SACFAST_INLINE Floats ones_where_equal(Codes a, Codes b) {
    const Int4 one = (a.v == b.v) & 0x3f800000;
    Floats x;
    __builtin_memcpy(&x.v, &one, sizeof x.v);
    return x;
}
SACFAST_INLINE std::uint64_t bits_where_equal(Codes a, Codes b) {
    const Int4 bit = (a.v == b.v) & Int4{1, 2, 4, 8};
    return static_cast<std::uint64_t>((bit[0] | bit[1]) | (bit[2] | bit[3]));
}

SACFAST_INLINE Words load(const std::uint64_t* p) {
    Words x;
    __builtin_memcpy(&x.v, p, sizeof x.v);
    return x;
}
SACFAST_INLINE Words no_bits() { return {Uint2{0, 0}}; }
SACFAST_INLINE void store(std::uint64_t* p, Words x) { __builtin_memcpy(p, &x.v, sizeof x.v); }
SACFAST_INLINE Words differing(Words a, Words b) { return {a.v ^ b.v}; }
SACFAST_INLINE Words add(Words a, Words b) { return {a.v + b.v}; }
SACFAST_INLINE Words twice(Words x) { return {x.v << 1}; }
// The two digits of a + b + c, bit by bit.
SACFAST_INLINE Words sum_digit(Words a, Words b, Words c) { return {a.v ^ b.v ^ c.v}; }
SACFAST_INLINE Words carry_digit(Words a, Words b, Words c) {
    return {(a.v & b.v) | ((a.v ^ b.v) & c.v)};
}
// How many bits of each word are set: neighbours added up, fields twice as wide each time.
SACFAST_INLINE Words count(Words x) {
    Uint2 v = x.v - ((x.v >> 1) & 0x5555555555555555u);
    v = (v & 0x3333333333333333u) + ((v >> 2) & 0x3333333333333333u);
    v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    v += v >> 8;
    v += v >> 16;
    return {(v + (v >> 32)) & 0xffu};
}

SACFAST_INLINE Uint4 load_16_bits(const std::uint16_t* p) { return Uint4{p[0], p[1], p[2], p[3]}; }
SACFAST_INLINE Floats load_bfloat(const std::uint16_t* p) {
    const Uint4 bits = load_16_bits(p) << 16;
    Floats x;
    __builtin_memcpy(&x.v, &bits, sizeof x.v);
    return x;
}
// A subnormal half, m * 2^-24, is made of the normal floats 2^-14 + m * 2^-24 and 2^-14: right also
// where the processor is told to take subnormal floats for 0.
SACFAST_INLINE Floats load_half(const std::uint16_t* p) {
    const Uint4 bits = load_16_bits(p), magnitude = (bits & 0x7fffu) << 13;
    const Uint4 small = magnitude + (113u << 23);
    Float4 shifted;
    __builtin_memcpy(&shifted, &small, sizeof shifted);
    shifted -= Float4{0x1p-14f, 0x1p-14f, 0x1p-14f, 0x1p-14f};
    Uint4 subnormal;
    __builtin_memcpy(&subnormal, &shifted, sizeof subnormal);
    const Uint4 is_small = static_cast<Uint4>(magnitude < (1u << 23));
    const Uint4 is_special = static_cast<Uint4>(magnitude >= (31u << 23));
    const Uint4 bias = (112u << 23) + (is_special & (112u << 23));
    const Uint4 all = (is_small & subnormal) | (~is_small & (magnitude + bias));
    const Uint4 value = all | ((bits & 0x8000u) << 16);
    Floats x;
    __builtin_memcpy(&x.v, &value, sizeof x.v);
    return x;
}

#endif

}  // namespace SACFAST_LEVEL
}  // namespace sacfast
