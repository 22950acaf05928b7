#include "cpu/load.h"

#include <algorithm>
#include <cstring>

#include "cpu/level/convert.h"

namespace sacfast {
namespace {

constexpr std::int64_t block = 1024;  // elements gathered before they are converted: 8 KB at most

template <typename From, typename To>
void copy(const Vector& in, To* out) {
    const std::byte* at = in.data;
    for (std::int64_t i = 0; i < in.size; ++i, at += in.stride) {
        From value;
        std::memcpy(&value, at, sizeof value);
        out[i] = static_cast<To>(value);
    }
}

// Elements of the type wanted, or whole numbers: nothing to convert, or nothing worth a vector.
template <typename From, typename To>
void copy_any(const Vector& in, To* out) {
    if (in.stride == static_cast<std::int64_t>(sizeof(From))) {
        copy<From>(Vector{in.data, in.size, sizeof(From), in.dtype}, out);
    } else {
        copy<From>(in, out);
    }
}

// Elements one after the other are converted in place; others are gathered first.
template <typename From, typename To>
void convert_any(const Vector& in, void (*converted)(const std::byte*, std::int64_t, To*),
                 To* out) {
    if (in.stride == static_cast<std::int64_t>(sizeof(From))) {
        return converted(in.data, in.size, out);
    }
    From gathered[block];
    for (std::int64_t first = 0; first < in.size; first += block) {
        const std::int64_t size = std::min(block, in.size - first);
        copy<From>(Vector{in.data + first * in.stride, size, in.stride, in.dtype}, gathered);
        converted(reinterpret_cast<const std::byte*>(gathered), size, out + first);
    }
}

}  // namespace

void load(const Vector& in, double* out) {
    switch (in.dtype) {
        case DType::float16:
            return convert_any<std::uint16_t>(in, convert().halves_to_doubles, out);
        case DType::bfloat16:
            return convert_any<std::uint16_t>(in, convert().bfloats_to_doubles, out);
        case DType::float32:
            return convert_any<float>(in, convert().floats_to_doubles, out);
        case DType::float64:
            return copy_any<double>(in, out);
        default:
            throw std::invalid_argument("load: not a floating-point type");
    }
}

void load(const Vector& in, float* out) {
    switch (in.dtype) {
        case DType::float16:
            return convert_any<std::uint16_t>(in, convert().halves_to_floats, out);
        case DType::bfloat16:
            return convert_any<std::uint16_t>(in, convert().bfloats_to_floats, out);
        case DType::float32:
            return copy_any<float>(in, out);
        case DType::float64:
            return convert_any<double>(in, convert().doubles_to_floats, out);
        default:
            throw std::invalid_argument("load: not a floating-point type");
    }
}

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
