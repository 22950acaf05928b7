// Plan. 28 KB of numbers a launch, which CUDA 12.1 and later take as an argument; one block.
#include "cuda/numbers.h"

#include <algorithm>

#include "cuda/primitives.cuh"

namespace sacfast::cuda {
namespace {

constexpr int threads = 256;

struct Numbers {
    static constexpr int most = 7168;
    std::int32_t values[most];
};

__global__ void __launch_bounds__(threads)
    put(const __grid_constant__ Numbers numbers, int count, std::int32_t* to) {
    const int first = static_cast<int>(blockIdx.x * threads + threadIdx.x);
    for (int i = first; within(i, count); i += static_cast<int>(gridDim.x) * threads) {
        to[i] = numbers.values[i];
    }
}

}  // namespace

void put_numbers(const std::vector<std::int32_t>& numbers, std::int32_t* to, Stream stream) {
    for (std::size_t first = 0; first < numbers.size(); first += Numbers::most) {
        const std::size_t count = std::min<std::size_t>(Numbers::most, numbers.size() - first);
        Numbers some;
        std::copy_n(numbers.begin() + static_cast<std::ptrdiff_t>(first), count, some.values);
        put<<<1, threads, 0, static_cast<cudaStream_t>(stream.handle)>>>(
            some, static_cast<int>(count), to + first);
        check_launch("put_numbers");
    }
}

}  // namespace sacfast::cuda
