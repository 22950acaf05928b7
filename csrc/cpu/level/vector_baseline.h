// vector_baseline.h: the vectors of vector.h, which explains them, for any processor: the
// compiler's own vectors of 128 bits.
#pragma once

#include <cstdint>

#include "cpu/level/vector.h"

namespace sacfast {
namespace SACFAST_LEVEL {

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

}  // namespace SACFAST_LEVEL
}  // namespace sacfast
