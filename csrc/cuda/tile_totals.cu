// Plan. A thread a model and row adds the tiles one after the other, so that the order is theirs
// alone; eight loads are under way at a time, and neighbouring threads read neighbouring sums. It
// reads each sum once: a few percent of what the tiles took. 256 threads of 40 to 46 registers
// (ptxas): five blocks a multiprocessor.

#include "cuda/tile_totals.h"

#include "cuda/fixed_tiles.h"
#include "cuda/primitives.cuh"
#include "cuda/rounds.h"

namespace sacfast::cuda {
namespace {

constexpr int threads = 256;
constexpr int blocks_each = 5;  // per multiprocessor

__device__ void hand_out(const TileTotals& task, std::int64_t model, std::int64_t row,
                         double total) {
    const SumsResults& to = task.results;
    const std::int64_t s = task.first_model + model;
    const std::int64_t place = to.places == nullptr ? s : to.places[s];
    if (within(row, task.columns)) {
        const std::int64_t result = place * task.result_columns + task.first_row + row;
        if (to.mean != nullptr) {
            to.mean[result] = static_cast<float>(total / task.pairs);
        } else {
            to.sums[result] = total;
        }
    } else if (to.squares != nullptr && row == task.rows - rows_together) {
        to.squares[place] = total;
    }
}

__global__ void __launch_bounds__(threads, blocks_each)
    add(__grid_constant__ const TileTotals task) {
    const std::int64_t count = task.models * task.rows;
    for (std::int64_t first = std::int64_t{blockIdx.x} * threads; first < count;
         first += std::int64_t{gridDim.x} * threads) {
        const std::int64_t at = first + threadIdx.x;
        if (within(at, count)) {
            double total = task.begins ? 0.0 : task.totals[at];
#pragma unroll 8
            for (std::int64_t tile = 0; tile < task.tiles; ++tile) {
                total += static_cast<double>(task.sums[tile * count + at]);
            }
            if (task.ends) {
                hand_out(task, at / task.rows, at % task.rows, total);
            } else {
                task.totals[at] = total;
            }
        }
    }
}

}  // namespace

void add_tiles(const TileTotals& task, Stream stream) {
    const std::int64_t blocks = (task.models * task.rows + threads - 1) / threads;
    add<<<blocks_for(blocks, blocks_each, stream), threads, 0,
          static_cast<cudaStream_t>(stream.handle)>>>(task);
    check_launch("tile_totals");
}

}  // namespace sacfast::cuda
