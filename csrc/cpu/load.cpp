#include "cpu/load.h"

#include <cstring>

namespace sacfast {
namespace {

float float_of_bits(std::uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

struct Half {
    std::uint16_t bits;
    operator float() const {
        const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
        const std::uint32_t exponent = (bits >> 10) & 0x1fu;
        const std::uint32_t fraction = bits & 0x3ffu;
        if (exponent == 0) {  // zero and subnormals: fraction * 2^-24, exact in float32
            const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
            return sign ? -magnitude : magnitude;
        }
        const std::uint32_t wide = exponent == 31 ? 255u : exponent + 112u;
        return float_of_bits(sign | (wide << 23) | (fraction << 13));
    }
};

struct BFloat {
    std::uint16_t bits;
    operator float() const { return float_of_bits(static_cast<std::uint32_t>(bits) << 16); }
};

template <typename From, typename To>
void copy(const Vector& in, To* out) {
    const std::byte* at = in.data;
    for (std::int64_t i = 0; i < in.size; ++i, at += in.stride) {
        From value;
        std::memcpy(&value, at, sizeof value);
        out[i] = static_cast<To>(value);
    }
}

// Elements that lie one after the other: a constant stride lets the compiler vectorise.
template <typename From, typename To>
void copy_any(const Vector& in, To* out) {
    if (in.stride == static_cast<std::int64_t>(sizeof(From))) {
        copy<From>(Vector{in.data, in.size, sizeof(From), in.dtype}, out);
    } else {
        copy<From>(in, out);
    }
}

template <typename To>
void load_floats(const Vector& in, To* out) {
    switch (in.dtype) {
        case DType::float16:
            return copy_any<Half>(in, out);
        case DType::bfloat16:
            return copy_any<BFloat>(in, out);
        case DType::float32:
            return copy_any<float>(in, out);
        case DType::float64:
            return copy_any<double>(in, out);
        default:
            throw std::invalid_argument("load: not a floating-point type");
    }
}

}  // namespace

void load(const Vector& in, double* out) { load_floats(in, out); }
void load(const Vector& in, float* out) { load_floats(in, out); }

void load_labels(const Vector& in, std::int64_t* out) {
    switch (in.dtype) {
        case DType::int8:
            return copy_any<std::int8_t>(in, out);
        case DType::int16:
            return copy_any<std::int16_t>(in, out);
        case DType::int32:
            return copy_any<std::int32_t>(in, out);
        case DType::int64:
            return copy_any<std::int64_t>(in, out);
        case DType::uint8:
            return copy_any<std::uint8_t>(in, out);
        case DType::uint16:
            return copy_any<std::uint16_t>(in, out);
        case DType::uint32:
            return copy_any<std::uint32_t>(in, out);
        case DType::uint64:
            return copy_any<std::uint64_t>(in, out);
        default:
            throw std::invalid_argument("load: not an integer type");
    }
}

}  // namespace sacfast
