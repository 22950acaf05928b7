// buffer.h: memory that a worker uses again and again.
//
// Aligned to a cache line, grows and never shrinks. What it held is lost when it grows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

namespace sacfast {

template <typename T>
class Buffer {
  public:
    // Room for n elements, 0 where they are new.
    T* at_least(std::int64_t n) {
        if (n > size_) {
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
