// element.cuh: numbers of any floating-point type, at any address, as float64.
//
// The type of an array is known to a block, never to a compiler: `with_element` turns it into a
// type once, outside all loops. Arrays whose numbers lie at multiples of their size are read
// number by number, others byte by byte.
#pragma once

#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>

#include "tensor_ref.h"

namespace sacfast::cuda {

// What a kernel is told about the numbers of an array. No padding: it is copied as a whole.
struct ElementType {
    DType dtype;
    std::int32_t aligned;
};

// Of an array that begins at `data`; `strides` are its strides in bytes, ored together.
inline ElementType element_type(const std::byte* data, std::int64_t strides, DType dtype) {
    if (dtype != DType::float16 && dtype != DType::bfloat16 && dtype != DType::float32 &&
        dtype != DType::float64) {
        throw std::invalid_argument("floating-point numbers expected");
    }
    const auto places =
        reinterpret_cast<std::uintptr_t>(data) | static_cast<std::uintptr_t>(strides);
    return {dtype, places % static_cast<std::uintptr_t>(item_size(dtype)) == 0};
}

template <DType kType>
struct Bits {
    using type = std::uint16_t;
};
template <>
struct Bits<DType::float32> {
    using type = std::uint32_t;
};
template <>
struct Bits<DType::float64> {
    using type = std::uint64_t;
};

template <DType kType, bool kAligned>
struct Element {
    static constexpr bool is_float64 = kType == DType::float64;

    static __device__ __forceinline__ double read(const std::byte* at) {
        using Word = typename Bits<kType>::type;
        Word bits = 0;
        if constexpr (kAligned) {
            bits = *reinterpret_cast<const Word*>(at);
        } else {
#pragma unroll
            for (unsigned byte = 0; byte < sizeof(Word); ++byte) {
                bits = static_cast<Word>(bits | static_cast<Word>(at[byte]) << 8 * byte);
            }
        }
        if constexpr (kType == DType::float64) {
            return __longlong_as_double(static_cast<long long>(bits));
        } else if constexpr (kType == DType::float32) {
            return static_cast<double>(__uint_as_float(bits));
        } else if constexpr (kType == DType::bfloat16) {
            return static_cast<double>(__uint_as_float(static_cast<std::uint32_t>(bits) << 16));
        } else {
            return static_cast<double>(__half2float(__ushort_as_half(bits)));
        }
    }
};

// use(Element<...>()) for the numbers that `type` names.
template <typename Use>
__device__ __forceinline__ void with_element(ElementType type, const Use& use) {
    switch (type.dtype) {
        case DType::float16:
            return type.aligned != 0 ? use(Element<DType::float16, true>())
                                     : use(Element<DType::float16, false>());
        case DType::bfloat16:
            return type.aligned != 0 ? use(Element<DType::bfloat16, true>())
                                     : use(Element<DType::bfloat16, false>());
        case DType::float32:
            return type.aligned != 0 ? use(Element<DType::float32, true>())
                                     : use(Element<DType::float32, false>());
        case DType::float64:
            return type.aligned != 0 ? use(Element<DType::float64, true>())
                                     : use(Element<DType::float64, false>());
        default:  // element_type lets no other through
            return;
    }
}

}  // namespace sacfast::cuda
