// tensor_ref.h: what a kernel knows of an array, and the one place where geometry is checked.
//
// Python passes an address, a shape, byte strides, an element type and the device, or a DLPack
// capsule, which says all that; nothing here knows which framework owns the memory. Strides may be
// negative, zero or odd: elements are read with memcpy, so no address needs to be aligned. All
// offsets are 64-bit.
//
// A kernel takes Vector and Matrix views, which TensorRef hands out after checking the number of
// axes and that the kernel's side, CPU or GPU, can read the memory.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace sacfast {

enum class DType {
    boolean,  // only passed on to NumPy: no kernel reads it
    float16,
    bfloat16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint16,
    uint32,
    uint64,
};

inline std::int64_t item_size(DType dtype) {
    switch (dtype) {
        case DType::boolean:
        case DType::int8:
        case DType::uint8:
            return 1;
        case DType::float16:
        case DType::bfloat16:
        case DType::int16:
        case DType::uint16:
            return 2;
        case DType::float32:
        case DType::int32:
        case DType::uint32:
            return 4;
        case DType::float64:
        case DType::int64:
        case DType::uint64:
            return 8;
    }
    throw std::logic_error("item_size: unknown element type");
}

// The element type that T is.
template <typename T>
constexpr DType dtype_of() {
    if constexpr (std::is_same_v<T, float>) {
        return DType::float32;
    } else if constexpr (std::is_same_v<T, double>) {
        return DType::float64;
    } else if constexpr (std::is_same_v<T, std::int16_t>) {
        return DType::int16;
    } else if constexpr (std::is_same_v<T, std::int64_t>) {
        return DType::int64;
    } else {
        static_assert(std::is_same_v<T, std::uint8_t>, "no kernel reads or writes such an array");
        return DType::uint8;
    }
}

// Device types as DLPack numbers them.
constexpr int device_cpu = 1;
constexpr int device_cuda = 2;
constexpr int device_cuda_host = 3;  // pinned memory: the host reads it like any other

enum class Side { cpu, cuda };  // where a kernel runs

struct Vector {
    const std::byte* data;
    std::int64_t size;
    std::int64_t stride;  // bytes
    DType dtype;
};

struct Matrix {
    const std::byte* data;
    std::int64_t rows;
    std::int64_t cols;
    std::int64_t row_stride;  // bytes
    std::int64_t col_stride;  // bytes
    DType dtype;

    bool operator==(const Matrix& other) const {  // the same numbers in the same memory
        return data == other.data && rows == other.rows && cols == other.cols &&
               row_stride == other.row_stride && col_stride == other.col_stride &&
               dtype == other.dtype;
    }
    Vector row(std::int64_t i) const { return {data + i * row_stride, cols, col_stride, dtype}; }
};

// Whether the rows can be read as arrays of T where they lie.
template <typename T>
bool in_place(const Matrix& m) {
    constexpr std::int64_t size = sizeof(T);
    return m.dtype == dtype_of<T>() && (m.col_stride == size || m.cols == 1) &&
           m.row_stride % size == 0 && reinterpret_cast<std::uintptr_t>(m.data) % alignof(T) == 0;
}

class TensorRef {
  public:
    TensorRef(std::uintptr_t address, std::vector<std::int64_t> shape,
              std::vector<std::int64_t> strides, DType dtype, int device, int device_id)
        : address_(address),
          shape_(std::move(shape)),
          strides_(std::move(strides)),
          dtype_(dtype),
          device_(device),
          device_id_(device_id) {
        if (shape_.size() != strides_.size()) {
            throw std::invalid_argument("TensorRef: shape and strides differ in length");
        }
        low_ = 0;
        high_ = 0;
        for (std::size_t axis = 0; axis < shape_.size(); ++axis) {
            if (shape_[axis] < 0) throw std::invalid_argument("TensorRef: a negative size");
            if (__builtin_mul_overflow(size_, shape_[axis], &size_)) {
                throw std::invalid_argument("TensorRef: more than 2^63 elements");
            }
            if (shape_[axis] < 2) continue;
            std::int64_t reach;
            if (__builtin_mul_overflow(shape_[axis] - 1, strides_[axis], &reach) ||
                __builtin_add_overflow(reach < 0 ? low_ : high_, reach,
                                       reach < 0 ? &low_ : &high_)) {
                throw std::invalid_argument("TensorRef: an offset does not fit into 64 bits");
            }
        }
        if (size_ > 0 && address_ == 0) throw std::invalid_argument("TensorRef: a null address");
    }

    std::uintptr_t address() const { return address_; }
    const std::vector<std::int64_t>& shape() const { return shape_; }
    const std::vector<std::int64_t>& strides() const { return strides_; }
    DType dtype() const { return dtype_; }
    int device_id() const { return device_id_; }  // which of the GPUs

    // Elements lie one after the other, last axis fastest.
    bool contiguous() const {
        std::int64_t expected = item_size(dtype_);
        for (std::size_t axis = shape_.size(); axis-- > 0;) {
            if (shape_[axis] > 1 && strides_[axis] != expected) return size_ == 0;
            expected *= std::max<std::int64_t>(shape_[axis], 1);
        }
        return true;
    }

    // Whether the byte ranges of the two touch. Two interleaved views count as overlapping.
    bool overlaps(const TensorRef& other) const {
        if (size_ == 0 || other.size_ == 0) return false;
        return begin() < other.end() && other.begin() < end();
    }

    Vector vector() const {
        require_axes(1, Side::cpu);
        return {data(), shape_[0], strides_[0], dtype_};
    }

    Matrix matrix(Side side = Side::cpu) const {
        require_axes(2, side);
        return {data(), shape_[0], shape_[1], strides_[0], strides_[1], dtype_};
    }

    // (S, N, C) -> S matrices.
    std::vector<Matrix> matrices(Side side = Side::cpu) const {
        require_axes(3, side);
        std::vector<Matrix> models;
        models.reserve(static_cast<std::size_t>(shape_[0]));
        for (std::int64_t s = 0; s < shape_[0]; ++s) {
            models.push_back(
                {data() + s * strides_[0], shape_[1], shape_[2], strides_[1], strides_[2], dtype_});
        }
        return models;
    }

    // The memory of a result: `size` elements of T, one after the other.
    template <typename T>
    T* output(std::int64_t size, Side side = Side::cpu) const {
        if (dtype_ != dtype_of<T>() || size_ != size || !contiguous()) {
            throw std::invalid_argument("TensorRef: a result of the wrong type, size or layout");
        }
        if (size > 0 && address_ % alignof(T) != 0) {
            throw std::invalid_argument("TensorRef: a result that is not aligned");
        }
        require_side(side);
        return reinterpret_cast<T*>(address_);
    }

  private:
    const std::byte* data() const { return reinterpret_cast<const std::byte*>(address_); }
    std::uintptr_t begin() const { return address_ + static_cast<std::uintptr_t>(low_); }
    std::uintptr_t end() const {
        return address_ + static_cast<std::uintptr_t>(high_ + item_size(dtype_));
    }
    void require_axes(std::size_t axes, Side side) const {
        require_side(side);
        if (shape_.size() != axes) {
            throw std::invalid_argument("TensorRef: " + std::to_string(axes) +
                                        " axes expected, got " + std::to_string(shape_.size()));
        }
    }
    void require_side(Side side) const {
        if (side == Side::cuda && device_ != device_cuda) {
            throw std::invalid_argument("TensorRef: memory that is not the GPU's");
        }
        if (side == Side::cpu && device_ != device_cpu && device_ != device_cuda_host) {
            throw std::invalid_argument("TensorRef: memory that the CPU can't read");
        }
    }

    std::uintptr_t address_;
    std::vector<std::int64_t> shape_;
    std::vector<std::int64_t> strides_;  // bytes
    DType dtype_;
    int device_;
    int device_id_;
    std::int64_t size_ = 1;
    std::int64_t low_;   // byte offset of the lowest element
    std::int64_t high_;  // byte offset of the highest element
};

}  // namespace sacfast
