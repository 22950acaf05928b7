// mathematics.h: CUDA's names of operations that the CPU has under another.
//
// Nothing is contracted here (nvcc fuses a * b + c on its own): results may differ by roundings.
#pragma once

#include <math.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "hostsim/memory.h"

using std::isfinite;
using std::isinf;
using std::isnan;
using std::max;
using std::min;

template <class To, class From>
inline To hostsim_bits(From from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    std::memcpy(&to, &from, sizeof to);
    return to;
}
inline unsigned __float_as_uint(float x) { return hostsim_bits<unsigned>(x); }
inline int __float_as_int(float x) { return hostsim_bits<int>(x); }
inline float __uint_as_float(unsigned x) { return hostsim_bits<float>(x); }
inline float __int_as_float(int x) { return hostsim_bits<float>(x); }
inline long long __double_as_longlong(double x) { return hostsim_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return hostsim_bits<double>(x); }

inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline double rsqrt(double x) { return 1.0 / sqrt(x); }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fsqrt_rn(float a) { return sqrtf(a); }
inline float __double2float_rn(double a) { return static_cast<float>(a); }
inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dsub_rn(double a, double b) { return a - b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __ddiv_rn(double a, double b) { return a / b; }
inline double __dsqrt_rn(double a) { return sqrt(a); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
inline int __clzll(long long x) {
    return x == 0 ? 64 : __builtin_clzll(static_cast<unsigned long long>(x));
}

template <class T>
T __ldcs(const T* at) {
    return *at;
}
template <class T>
T __ldcg(const T* at) {
    return *at;
}
template <class T>
void __stcs(T* at, T value) {
    *at = value;
}
template <class T>
void __stcg(T* at, T value) {
    *at = value;
}

// Atomics on integers only: a sum of floats by atomics depends on the order.
namespace hostsim {
template <class T, class F>
__attribute__((noinline, no_sanitize("thread"))) T atomic(T* at, F change) {
    static_assert(std::is_integral_v<T>, "atomics on integers only");
    access(at, sizeof(T), true, true, __builtin_return_address(0), sizeof(T));
    const T before = *at;
    *at = change(before);
    return before;
}
}  // namespace hostsim

template <class T>
T atomicAdd(T* at, T x) {
    return hostsim::atomic(at, [x](T old) { return static_cast<T>(old + x); });
}
template <class T>
T atomicMax(T* at, T x) {
    return hostsim::atomic(at, [x](T old) { return std::max(old, x); });
}
template <class T>
T atomicMin(T* at, T x) {
    return hostsim::atomic(at, [x](T old) { return std::min(old, x); });
}
template <class T>
T atomicOr(T* at, T x) {
    return hostsim::atomic(at, [x](T old) { return old | x; });
}
template <class T>
T atomicExch(T* at, T x) {
    return hostsim::atomic(at, [x](T) { return x; });
}
