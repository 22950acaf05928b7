// Plan. One block of 256 threads a tile and row, grid-strided: lane l of warp p writes 16 bytes,
// [p][l], and reads up to four numbers of one row of the tile, beside those of its neighbours.
// Bound by memory: a row is read once and written once, half as much again where it is split at
// the diagonal. 256 threads of at most 40 registers, no shared memory: six blocks a multiprocessor.
#include "cuda/fixed_tiles.h"

#include <stdexcept>

#include "cuda/element.cuh"
#include "cuda/rounds.h"
#include "cuda/tile_pairs.cuh"

namespace sacfast::cuda {
namespace {

constexpr int threads = 256;
constexpr int blocks_each = 6;  // per multiprocessor

struct Task {
    Matrix rows;
    ElementType type;
    std::int64_t n, laid, items;
    int blocks, first;
    float* tiles;
};

template <class Order>
__global__ void __launch_bounds__(threads) lay(__grid_constant__ const Task task) {
    const int lane = static_cast<int>(threadIdx.x) % 32, plane = static_cast<int>(threadIdx.x) / 32;
    for (std::int64_t item = blockIdx.x; item < task.items; item += gridDim.x) {
        const std::int64_t k = item % task.laid;
        const TilePlace place =
            place_of(task.first + static_cast<int>(item / task.laid), task.blocks);
        const std::byte* from = task.rows.data + k * task.rows.row_stride;
        float values[4] = {};
        with_element(task.type, [&](auto element) {
#pragma unroll
            for (int x = 0; x < 4; ++x) {
                const std::int64_t i =
                    std::int64_t{place.row_block} * warp_tile + Order::row(lane, 4 * plane + x);
                const std::int64_t j = std::int64_t{place.column_block} * warp_tile +
                                       Order::column(lane, 4 * plane + x);
                if (i < j && within(j, task.n) && within(k, task.rows.rows)) {
                    values[x] = static_cast<float>(decltype(element)::read(
                        from + packed_pair(i, j, task.n) * task.rows.col_stride));
                }
            }
        });
        reinterpret_cast<float4*>(task.tiles)[item * threads + threadIdx.x] =
            make_float4(values[0], values[1], values[2], values[3]);
    }
}

}  // namespace

void lay_fixed_tiles(const Matrix& rows, std::int64_t n, std::int64_t first, std::int64_t count,
                     Product product, Stream stream, float* tiles) {
    const std::int64_t laid = laid_rows(rows.rows);
    const ElementType type = element_type(rows.data, rows.row_stride | rows.col_stride, rows.dtype);
    const Task task{
        rows, type, n, laid, count * laid, static_cast<int>(blocks_of(n)), static_cast<int>(first),
        tiles};
    const unsigned grid = blocks_for(task.items, blocks_each, stream);
    const auto handle = static_cast<cudaStream_t>(stream.handle);
    if (product == Product::fma) {
        lay<FmaProduct><<<grid, threads, 0, handle>>>(task);
    } else if (product == Product::tf32x3 || product == Product::bfloat16) {
        lay<TensorProduct><<<grid, threads, 0, handle>>>(task);
    } else {
        throw std::logic_error("fixed_tiles: unknown product");
    }
    check_launch("fixed_tiles");
}

}  // namespace sacfast::cuda
