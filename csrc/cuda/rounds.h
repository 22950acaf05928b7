// rounds.h: how scratch memory is measured, parted, and made to last for any number of models.
//
// A launcher that works model by model says what one of them takes; models are taken in rounds of
// as many as fit, each through the same scratch. More than 256 MB beside one model fill no GPU
// better and are never asked for.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "cuda/launch.h"

namespace sacfast::cuda {

constexpr std::int64_t scratch_alignment = 256;
constexpr std::int64_t enough_scratch = std::int64_t{256} << 20;

inline std::int64_t aligned(std::int64_t bytes) {
    return (bytes + scratch_alignment - 1) / scratch_alignment * scratch_alignment;
}

// Takes `count` values of T from the front of `scratch`.
template <typename T>
T* take(Scratch& scratch, std::int64_t count) {
    const std::int64_t bytes = aligned(count * static_cast<std::int64_t>(sizeof(T)));
    if (bytes > scratch.bytes) throw std::invalid_argument("too little scratch memory");
    T* values = reinterpret_cast<T*>(scratch.data);
    scratch.data += bytes;
    scratch.bytes -= bytes;
    return values;
}

// Blocks for a grid-strided kernel: one an item, no more than are on the GPU together.
inline unsigned blocks_for(std::int64_t items, int per_multiprocessor, Stream stream) {
    const std::int64_t most = std::int64_t{per_multiprocessor} * stream.multiprocessors;
    return static_cast<unsigned>(
        std::clamp<std::int64_t>(items, 1, std::max<std::int64_t>(most, 1)));
}

// What `count` models need together, model i cost(i) bytes, and every round `fixed` ones.
template <typename Cost>
Need need_of_rounds(std::size_t count, std::int64_t fixed, const Cost& cost) {
    std::int64_t largest = 0, all = 0;
    for (std::size_t i = 0; i < count; ++i) {
        largest = std::max(largest, cost(i));
        all += cost(i);
    }
    const std::int64_t least = fixed + largest;
    return {least, std::min(fixed + all, std::max(least, enough_scratch))};
}

// work(first, last) for one round after the other.
template <typename Cost, typename Work>
void in_rounds(const char* function, std::size_t count, std::int64_t fixed, const Cost& cost,
               std::int64_t bytes, const Work& work) {
    for (std::size_t first = 0, last = 0; first < count; first = last) {
        std::int64_t used = fixed;
        while (last < count && used + cost(last) <= bytes) used += cost(last++);
        if (last == first) {
            throw std::invalid_argument(
                std::string(function) + ": at least " + std::to_string(fixed + cost(first)) +
                " bytes of scratch are needed, got " + std::to_string(bytes));
        }
        work(first, last);
    }
}

}  // namespace sacfast::cuda
