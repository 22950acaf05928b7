// cuda_fp16.h of the simulator: float16 as stored numbers; all that is read is exact in float32.
#pragma once

#include <cstdint>

#include "cuda_runtime.h"

struct __half_raw {
    unsigned short x;
};

struct __half {
    std::uint16_t bits;

    __half() = default;
    __half(__half_raw raw) : bits(raw.x) {}
    operator float() const {
        const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000) << 16;
        const std::uint32_t exponent = bits >> 10 & 0x1f, mantissa = bits & 0x3ff;
        if (exponent == 0) {  // mantissa * 2^-24
            const float x = static_cast<float>(mantissa) * 0x1p-24f;
            return sign != 0 ? -x : x;
        }
        const std::uint32_t widened = exponent == 0x1f ? 0xffu : exponent + 112;
        return __uint_as_float(sign | widened << 23 | mantissa << 13);
    }
};
using half = __half;

inline float __half2float(__half x) { return x; }
inline unsigned short __half_as_ushort(__half x) { return x.bits; }
inline __half __ushort_as_half(unsigned short x) { return __half(__half_raw{x}); }
