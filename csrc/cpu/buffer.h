// buffer.h: memory that a worker uses again and again.
//
// Aligned to a cache line, grows and never shrinks. What it held is lost when it grows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

namespace sacfast {

// More elements than any memory holds, yet few enough that their bytes can be counted.
constexpr std::int64_t too_many = std::int64_t{1} << 58;

// a * b elements. Throws std::bad_alloc where no memory holds them: views of stride 0 may be
// larger.
inline std::int64_t elements(std::int64_t a, std::int64_t b) {
    std::int64_t n;
    if (__builtin_mul_overflow(a, b, &n) || n >= too_many) throw std::bad_alloc();
    return n;
}

constexpr std::int64_t line_floats = 16;  // float32 in a cache line

// From one row of n float32 to the next: an odd number of cache lines, so that no two rows fall on
// one place in a cache.
constexpr std::int64_t odd_lines(std::int64_t n) {
    return ((n + line_floats - 1) / line_floats | 1) * line_floats;
}

template <typename T>
class Buffer {
  public:
    // Room for n elements, 0 where they are new.
    T* at_least(std::int64_t n) {
        if (n > size_) {
            if (n >= too_many) throw std::bad_alloc();
            size_ = 0;
            values_.reset();
            values_.reset(static_cast<T*>(
                ::operator new(static_cast<std::size_t>(n) * sizeof(T), std::align_val_t{64})));
            size_ = n;
            for (std::int64_t i = 0; i < n; ++i) values_.get()[i] = T{};
        }
        return values_.get();
    }
    const T* data() const { return values_.get(); }

  private:
    struct Free {
        void operator()(T* values) const { ::operator delete(values, std::align_val_t{64}); }
    };
    std::unique_ptr<T, Free> values_;
    std::int64_t size_ = 0;
};

}  // namespace sacfast
