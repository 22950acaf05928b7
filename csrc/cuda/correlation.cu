// Plan. Unit rows (unit_rows.h), then one launch for all models: items are tiles on and above the
// diagonals, a slot of the block each (gram.cuh), grid-strided over two blocks a multiprocessor. A
// tile is clamped, and its pairs leave through shared memory as runs of up to 32 neighbours.
//
// Tiles of 64 read half as much per product; tiles of 32 leave less of a small or narrow triangle
// empty. Whichever, the bits are the same.
//
// Items are counted in 32 bits: 2^31 tiles are terabytes of results, or of words where N is small.
//
// Occupancy. 256 threads, 115 to 128 registers without a spill, 40 KB of shared memory (18 KB with
// tiles of 64): two blocks a multiprocessor on every architecture; all have 64 K registers and 100
// KB of shared memory or more.
//
// What bounds it. Per model it reads 4 N C bytes, writes and reads as many words, writes 2 N^2
// bytes and takes N^2 C operations: N C / (12 C + 2 N) operations a byte. That is 3 at N = 100,
// C = 10; 7 at C = 100; 8 at C = 1000: memory bounds. At N = 800, C = 100 it is 29: above about 20
// (float32 FMAs on an H100) or 50 (3xTF32) the arithmetic does.
//
// Numerics: those of unit_rows.h and gram.cuh; the result is rounded no more. With rbf_normalised
// twice the error of the cosine, and that of expf (1 unit in the last place).
#include "cuda/correlation.h"

#include "cuda/gram.cuh"
#include "cuda/rounds.h"
#include "cuda/tile_pairs.cuh"
#include "cuda/tile_rows.cuh"
#include "cuda/unit_rows.h"

namespace sacfast::cuda {
namespace {

constexpr int per_multiprocessor = 2;  // blocks

struct Task {
    UnitRows rows;
    int items;   // tiles of all models
    int tiles;   // of a model
    int blocks;  // of kTile rows
    bool rbf_normalised;
    float* packed;  // [models, P]
};

// The most words of the models whose tiles begin at item `first`. Tiles of 32 need not know.
template <int kTile>
__device__ __forceinline__ int most_words(const Task& task, int first) {
    int most = 0;
    for (int slot = 0; slot < Geometry<kTile>::slots && kTile == 64; ++slot) {
        if (within(first + slot, task.items)) {
            most = max(most, task.rows.models[(first + slot) / task.tiles].words);
        }
    }
    return most;
}

template <class P, int kTile>
__global__ void __launch_bounds__(gram_threads, per_multiprocessor)
    correlate(const __grid_constant__ Task task) {
    using G = Geometry<kTile>;
    __shared__ GramShared<P, kTile> shared;
    const UnitRows& rows = task.rows;
    const int n = static_cast<int>(rows.rows);
    for (int first = static_cast<int>(blockIdx.x) * G::slots; first < task.items;
         first += static_cast<int>(gridDim.x) * G::slots) {
        const bool mine = within(first + G::slot(), task.items);
        const int item = mine ? first + G::slot() : 0, s = item / task.tiles;
        const TilePlace place = place_of(item % task.tiles, task.blocks);
        const int row = place.row_block * kTile, column = place.column_block * kTile;
        const UnitModel& model = rows.models[s];
        const float* words = rows.words + model.offset;
        // An idle slot has item 0's addresses, and no words: the others have the arithmetic to
        // themselves. Its tile goes nowhere.
        const Panels panels{words + row, words + column, rows.stride, rows.stride,
                            mine ? model.words : 0};
        float tile[32];
        gram<P, kTile>(panels, most_words<kTile>(task, first), shared, tile);

#pragma unroll
        for (int e = 0; e < 32; ++e) tile[e] = correlation_of(tile[e], false);
        if (task.rbf_normalised) {
#pragma unroll
            for (int e = 0; e < 32; ++e) tile[e] = correlation_of(tile[e], true);
        }
        int i = mine ? row + G::first_row() : n;
        const int j = column + G::first_column() + G::lane();
        float* packed = task.packed + s * (rows.rows * (rows.rows - 1) / 2);
        std::int64_t at = packed_pair(i, j, n);
        for_rows<P, kTile>(tile, shared, [&](float value) {
            if (i < j && within(j, n)) packed[at] = value;
            at += n - i - 2;  // to the next row, the same column
            ++i;
        });
    }
}

// Tiles on and above the diagonal.
int tiles_of_size(std::int64_t n, int size) {
    const std::int64_t blocks = (n + size - 1) / size;
    return static_cast<int>(blocks * (blocks + 1) / 2);
}

template <int kTile>
void launch(Task task, std::int64_t models, Product product, Stream stream) {
    constexpr int slots = Geometry<kTile>::slots;
    task.blocks = static_cast<int>((task.rows.rows + kTile - 1) / kTile);
    task.tiles = tiles_of_size(task.rows.rows, kTile);
    task.items = static_cast<int>(models * task.tiles);
    const unsigned grid = blocks_for((task.items + slots - 1) / slots, per_multiprocessor, stream);
    const auto handle = static_cast<cudaStream_t>(stream.handle);
    if (product == Product::fma) {
        correlate<FmaProduct, kTile><<<grid, gram_threads, 0, handle>>>(task);
    } else if (product == Product::tf32x3) {
        correlate<Tf32x3Product, kTile><<<grid, gram_threads, 0, handle>>>(task);
    } else if (product == Product::bfloat16) {
        correlate<Bfloat16Product, kTile><<<grid, gram_threads, 0, handle>>>(task);
    } else {
        throw std::invalid_argument("correlation: an unknown product");
    }
}

}  // namespace

Need correlation_scratch(const std::vector<Matrix>& models, Product product) {
    const Word word = word_for(product);
    return need_of_rounds(models.size(), unit_rows_fixed_bytes,
                          [&](std::size_t s) { return unit_model_bytes(models[s], word); });
}

void correlation(const std::vector<Matrix>& models, Center center, bool rbf_normalised,
                 Product product, Scratch scratch, Stream stream, float* packed) {
    if (models.empty() || models[0].rows < 2) return;
    const std::int64_t n = models[0].rows;
    const Word word = word_for(product);
    const auto cost = [&](std::size_t s) { return unit_model_bytes(models[s], word); };
    in_rounds("correlation", models.size(), unit_rows_fixed_bytes, cost, scratch.bytes,
              [&](std::size_t first, std::size_t last) {
                  const std::vector<Matrix> some(models.data() + first, models.data() + last);
                  Task task{};
                  task.rows = unit_rows(some, center, word, scratch, stream);
                  const auto count = static_cast<std::int64_t>(some.size());
                  task.rbf_normalised = rbf_normalised;
                  task.packed = packed + static_cast<std::int64_t>(first) * (n * (n - 1) / 2);
                  if (wide_tiles_pay(tiles_of_size(n, 32), tiles_of_size(n, 64))) {
                      launch<64>(task, count, product, stream);
                  } else {
                      launch<32>(task, count, product, stream);
                  }
                  check_launch("correlation");
              });
}

}  // namespace sacfast::cuda
