// Plan. The unit rows of the probes and of the references (unit_rows.h), then one launch for all
// models: items are tiles of [N, R], a slot of the block each (gram.cuh), grid-strided over two
// blocks a multiprocessor; scores are clamped and leave through shared memory as rows.
//
// Occupancy: that of correlation.cu. What bounds it: 2 N R E operations a model on 12 E (N + R) +
// 4 N R bytes; at N = 200, R = 64, E = 512 that is 8 operations a byte: memory.
//
// Numerics: those of unit_rows.h and gram.cuh; the result is rounded no more.
#include "cuda/fri_features.h"

#include "cuda/gram.cuh"
#include "cuda/rounds.h"
#include "cuda/tile_pairs.cuh"
#include "cuda/tile_rows.cuh"
#include "cuda/unit_rows.h"

namespace sacfast::cuda {
namespace {

constexpr int per_multiprocessor = 2;  // blocks

struct Task {
    UnitRows probes, references;  // of `count` models, with equally many words each
    int items;                    // tiles of all models
    int tiles;                    // of a model
    int across;                   // tiles beside each other
    float* scores;                // [models, N, R]
};

template <class P, int kTile>
__global__ void __launch_bounds__(gram_threads, per_multiprocessor)
    score(const __grid_constant__ Task task) {
    using G = Geometry<kTile>;
    __shared__ GramShared<P, kTile> shared;
    const UnitRows &probes = task.probes, &references = task.references;
    const int n = static_cast<int>(probes.rows), r = static_cast<int>(references.rows);
    for (int first = static_cast<int>(blockIdx.x) * G::slots; first < task.items;
         first += static_cast<int>(gridDim.x) * G::slots) {
        const bool mine = within(first + G::slot(), task.items);
        const int item = mine ? first + G::slot() : 0, s = item / task.tiles;
        const int row = item % task.tiles / task.across * kTile;
        const int column = item % task.tiles % task.across * kTile;
        const UnitModel &left = probes.models[s], &right = references.models[s];
        // An idle slot has item 0's addresses, and no words: the others have the arithmetic to
        // themselves. Its tile goes nowhere.
        const Panels panels{probes.words + left.offset + row,
                            references.words + right.offset + column, probes.stride,
                            references.stride, mine ? left.words : 0};
        float tile[32];
        gram<P, kTile>(panels, probes.most_words, shared, tile);
#pragma unroll
        for (int e = 0; e < 32; ++e) tile[e] = correlation_of(tile[e], false);
        int i = mine ? row + G::first_row() : n;
        const int j = column + G::first_column() + G::lane();
        float* score = task.scores + (std::int64_t{s} * n + i) * r + j;
        for_rows<P, kTile>(tile, shared, [&](float value) {
            if (within(i, n) && within(j, r)) *score = value;
            score += r;
            ++i;
        });
    }
}

int tiles_of_size(std::int64_t n, int size) { return static_cast<int>((n + size - 1) / size); }

template <int kTile>
void launch(Task task, std::int64_t models, Product product, Stream stream) {
    constexpr int slots = Geometry<kTile>::slots;
    task.across = tiles_of_size(task.references.rows, kTile);
    task.tiles = tiles_of_size(task.probes.rows, kTile) * task.across;
    task.items = static_cast<int>(models * task.tiles);
    const unsigned grid = blocks_for((task.items + slots - 1) / slots, per_multiprocessor, stream);
    const auto handle = static_cast<cudaStream_t>(stream.handle);
    if (product == Product::fma) {
        score<FmaProduct, kTile><<<grid, gram_threads, 0, handle>>>(task);
    } else if (product == Product::tf32x3) {
        score<Tf32x3Product, kTile><<<grid, gram_threads, 0, handle>>>(task);
    } else if (product == Product::bfloat16) {
        score<Bfloat16Product, kTile><<<grid, gram_threads, 0, handle>>>(task);
    } else {
        throw std::invalid_argument("fri_features: an unknown product");
    }
}

}  // namespace

Need fri_features_scratch(const std::vector<Matrix>& probes, const std::vector<Matrix>& references,
                          Product product) {
    const Word word = word_for(product);
    return need_of_rounds(probes.size(), 2 * unit_rows_fixed_bytes, [&](std::size_t s) {
        return unit_model_bytes(probes[s], word) + unit_model_bytes(references[s], word);
    });
}

void fri_features(const std::vector<Matrix>& probes, const std::vector<Matrix>& references,
                  Product product, Scratch scratch, Stream stream, float* scores) {
    if (probes.empty() || probes[0].rows == 0 || references[0].rows == 0) return;
    const std::int64_t n = probes[0].rows, r = references[0].rows;
    const Word word = word_for(product);
    const auto cost = [&](std::size_t s) {
        return unit_model_bytes(probes[s], word) + unit_model_bytes(references[s], word);
    };
    in_rounds("fri_features", probes.size(), 2 * unit_rows_fixed_bytes, cost, scratch.bytes,
              [&](std::size_t first, std::size_t last) {
                  const std::vector<Matrix> left(probes.data() + first, probes.data() + last);
                  const std::vector<Matrix> right(references.data() + first,
                                                  references.data() + last);
                  Scratch half = scratch;
                  const std::int64_t bytes = unit_rows_bytes(left, word);
                  Task task{};
                  task.probes = unit_rows(left, Center::none, word, half, stream);
                  half.data += aligned(bytes);
                  half.bytes -= aligned(bytes);
                  task.references = unit_rows(right, Center::none, word, half, stream);
                  const auto count = static_cast<std::int64_t>(left.size());
                  task.scores = scores + static_cast<std::int64_t>(first) * n * r;
                  if (wide_tiles_pay(std::int64_t{tiles_of_size(n, 32)} * tiles_of_size(r, 32),
                                     std::int64_t{tiles_of_size(n, 64)} * tiles_of_size(r, 64))) {
                      launch<64>(task, count, product, stream);
                  } else {
                      launch<32>(task, count, product, stream);
                  }
                  check_launch("fri_features");
              });
}

}  // namespace sacfast::cuda
