// Plan. An item is a group of 8 models and a 32 x 32 tile. Each of a block's 8 warps makes the tile
// of one model (gram.cuh, eight slots) and leaves it in shared memory, 0 where there is no pair.
// Then the tiles are dealt out anew: a thread takes 16 numbers of 4 models, so that a warp holds
// half a tile of 4 models, and four rows of the fixed ones pass by, 16 bytes a load
// (fixed_tiles.h). Warp w has models 4 (w % 2) .., half (w / 2 % 2) and every other four rows, w
// / 4. A butterfly over the warp that halves the number of sums at every step leaves one of the 16
// with each pair of lanes. Sums of the halves meet in shared memory; one float32 a (model, row,
// tile) goes to scratch, where tile_totals.h adds them in float64, one tile after the other.
//
// Why dealt out anew: a load of 16 bytes a lane takes 4 cycles of the L1 cache, and serves 4 models
// x 4 numbers: 16 FMAs (or 32 additions), 4 cycles of the multiprocessor's FMA units with 128
// lanes. A thread that kept its own model's 32 numbers would wait 4 times as long for the cache.
// The 8 models of a block take each fixed number from the L2 cache once, 4 KB per 8192 FMAs.
//
// Items in the order (16 tiles, group, tile): blocks that run together share the fixed rows of a
// few tiles in the L2 cache, and a group's unit rows are read for 16 tiles in a row.
//
// Why no 64 x 64 tiles: two models a block would fetch every fixed row four times as often.
//
// Occupancy. add_terms: 256 threads, 127 or 128 registers (ptxas), 40 KB of shared memory: two
// blocks a multiprocessor on every architecture.
//
// What bounds it. A model and tile take 1024 C multiply-adds and, for K rows, 1024 K more, or 2048
// K additions. In machine code for compute capability 9.0, half a tile of 4 models and four rows
// take 610 instructions, of which 512 add differences, or 350 for 256 FMAs. The L2 cache gives 256
// C bytes of unit rows a model and 4 K KB of fixed rows for 8 of them. Predicted for an H100 (128
// lanes, 64 bytes a cycle): arithmetic bounds it, 88 cycles for products of 8 models and a row's
// tile against 64 of the L2 cache; 153 for differences.
//
// Numerics. A float32 sum of a tile: 16 FMAs one after the other, then 6 additions; of differences
// the subtraction and 11 additions. Half a unit each: at most 22 (12) times 2^-24 of the sum of the
// terms' absolute values, typically 2^-24. Padding adds exact zeros. Sums beyond 3.4e38 are
// infinite.
#include "cuda/tile_sums.h"

#include <stdexcept>

#include "cuda/fixed_tiles.h"
#include "cuda/gram.cuh"
#include "cuda/rounds.h"
#include "cuda/tile_pairs.cuh"

namespace sacfast::cuda {
namespace {

constexpr int models_a_block = 8;     // one a warp
constexpr int planes = 8;             // 16-byte pieces that a lane holds of a tile
constexpr int models_a_thread = 4;    // while fixed rows pass
constexpr int planes_a_thread = 4;    // likewise: half a tile
constexpr int strip = 256;            // rows whose sums wait in shared memory
constexpr int blocks_each = 2;        // per multiprocessor
constexpr int batch = rows_together;  // rows that pass together
constexpr int sums_a_thread = models_a_thread * batch;
constexpr int tiles_together = 16;
static_assert(sums_a_thread == 16, "the butterfly leaves one sum with two lanes");

// What a number c of the correlation and a fixed one add; a sum of four at a time.
struct Difference {
    static constexpr bool has_squares = false;

    static __device__ __forceinline__ void add(float& sum, const float4& c, const float4& fixed) {
        sum += (fabsf(c.x - fixed.x) + fabsf(c.y - fixed.y)) +
               (fabsf(c.z - fixed.z) + fabsf(c.w - fixed.w));
    }
};

struct Multiple {
    static constexpr bool has_squares = true;  // one more row: c itself

    static __device__ __forceinline__ void add(float& sum, const float4& c, const float4& fixed) {
        sum = fmaf(c.x, fixed.x, sum);
        sum = fmaf(c.y, fixed.y, sum);
        sum = fmaf(c.z, fixed.z, sum);
        sum = fmaf(c.w, fixed.w, sum);
    }
};

// The items of a launch. They are read from shared memory too: all that could be computed once and
// kept would be, in registers.
struct Walk {
    int groups, tiles;
    int first_tile, blocks;  // of the model's triangle
};

struct Task {
    UnitRows units;
    const float4* fixed;  // [tiles][laid rows][planes][32]
    float* sums;          // [tiles][models][rows]
    std::int64_t n;
    Walk walk;
    int models;
    int laid, rows;  // rows: laid, and four more where there are squares, of which the first counts
    bool rbf_normalised;
};

// What a block is at. It waits in shared memory, as registers are few while tiles are made.
struct Item {
    int model;  // the first of the group
    int tile;   // of this launch
    TilePlace place;
};

template <class Product>
struct alignas(16) Shared {
    union {
        GramShared<Product, warp_tile> gram;
        float4 tiles[models_a_block][planes][32];
        float sums[2][models_a_block][strip + batch];  // [half]; the end parts models' banks
    };
    Item now;
    Walk walk;
};

__device__ __forceinline__ Item item_at(const Walk& walk, int item) {
    const int done = item / (walk.groups * tiles_together) * tiles_together;
    const int rest = item - done * walk.groups, here = min(walk.tiles - done, tiles_together);
    const int tile = done + rest % here;
    return {rest / here * models_a_block, tile, place_of(walk.first_tile + tile, walk.blocks)};
}

// This warp's tile of one model, in shared memory.
template <class Product>
__device__ __forceinline__ void make_tile(const Task& task, Shared<Product>& shared) {
    const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
    const std::int64_t stride = task.units.stride;
    Panels mine{task.units.words, task.units.words, stride, stride, 0};
    if (within(shared.now.model + warp, task.models)) {
        const UnitModel& unit = task.units.models[shared.now.model + warp];
        const float* words = task.units.words + unit.offset;
        mine.left = words + shared.now.place.row_block * warp_tile;
        mine.right = words + shared.now.place.column_block * warp_tile;
        mine.words = unit.words;
    }
    float tile[32];
    gram<Product, warp_tile>(mine, task.units.most_words, shared.gram, tile);

    const TilePlace place = shared.now.place;
    const int above = place.row_block == place.column_block ? 0 : warp_tile;  // the diagonal
    const int columns = static_cast<int>(task.n) - place.column_block * warp_tile;
#pragma unroll
    for (int e = 0; e < 32; ++e) {
        const int row = Product::row(lane, e), column = Product::column(lane, e);
        const bool pair = row < column + above && within(column, columns);
        tile[e] = pair ? correlation_of(tile[e], task.rbf_normalised) : 0.0f;
    }
    __syncthreads();  // the panels of all warps are free
#pragma unroll
    for (int plane = 0; plane < planes; ++plane) {
        shared.tiles[warp][plane][lane] = make_float4(tile[4 * plane], tile[4 * plane + 1],
                                                      tile[4 * plane + 2], tile[4 * plane + 3]);
    }
}

// One step of a butterfly: each lane keeps one half of the sums and adds its partner's.
template <int kHalf>
__device__ __forceinline__ void fold(float (&sums)[sums_a_thread], int lane) {
    const bool upper = (lane & 2 * kHalf) != 0;
#pragma unroll
    for (int x = 0; x < kHalf; ++x) {
        const float kept = upper ? sums[x + kHalf] : sums[x];
        const float sent = upper ? sums[x] : sums[x + kHalf];
        sums[x] = kept + __shfl_xor_sync(~0u, sent, 2 * kHalf);
    }
}

// sums[lane / 2], added over the lanes.
__device__ __forceinline__ float sum_of_lanes(float (&sums)[sums_a_thread], int lane) {
    fold<8>(sums, lane);
    fold<4>(sums, lane);
    fold<2>(sums, lane);
    fold<1>(sums, lane);
    return sums[0] + __shfl_xor_sync(~0u, sums[0], 1);
}

template <class Product, class Term>
__global__ void __launch_bounds__(gram_threads, blocks_each)
    add_terms(__grid_constant__ const Task task) {
    __shared__ Shared<Product> shared;
    const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
    const int first_model = warp % 2 * models_a_thread, half = warp / 2 % 2, turn = warp / 4;
    if (threadIdx.x == 0) shared.walk = task.walk;
    // In 32 bits: each item leaves 16 bytes or more in scratch.
    for (int item = static_cast<int>(blockIdx.x); item < task.walk.groups * task.walk.tiles;
         item += static_cast<int>(gridDim.x)) {
        if (threadIdx.x == 0) shared.now = item_at(shared.walk, item);
        __syncthreads();  // and the sums before were read
        make_tile(task, shared);
        __syncthreads();

        float4 c[models_a_thread][planes_a_thread];
#pragma unroll
        for (int m = 0; m < models_a_thread; ++m) {
#pragma unroll
            for (int p = 0; p < planes_a_thread; ++p) {
                c[m][p] = shared.tiles[first_model + m][half * planes_a_thread + p][lane];
            }
        }
        const float4* fixed =
            task.fixed +
            (std::int64_t{shared.now.tile} * task.laid * planes + half * planes_a_thread) * 32 +
            lane;
#pragma unroll 1
        for (int first = 0; first < task.rows; first += strip) {
            const int last = within(first + strip, task.rows) ? first + strip : task.rows;
            __syncthreads();  // the tiles, or the sums before, were read
#pragma unroll 1
            for (int row = first + turn * batch; row < last; row += 2 * batch) {
                float sums[sums_a_thread] = {};
                if (Term::has_squares && row == task.laid) {
#pragma unroll
                    for (int m = 0; m < models_a_thread; ++m) {
#pragma unroll
                        for (int p = 0; p < planes_a_thread; ++p) {
                            Term::add(sums[batch * m], c[m][p], c[m][p]);
                        }
                    }
                } else {
#pragma unroll
                    for (int r = 0; r < batch; ++r) {
#pragma unroll
                        for (int p = 0; p < planes_a_thread; ++p) {
                            const float4 x = fixed[((row + r) * planes + p) * 32];
#pragma unroll
                            for (int m = 0; m < models_a_thread; ++m) {
                                Term::add(sums[batch * m + r], c[m][p], x);
                            }
                        }
                    }
                }
                const float sum = sum_of_lanes(sums, lane);
                if (lane % 2 == 0) {
                    const int x = lane / 2;
                    shared.sums[half][first_model + x / batch][row - first + x % batch] = sum;
                }
            }
            const int count = last - first, models = task.models - shared.now.model;
            float* to =
                task.sums + first +
                (std::int64_t{shared.now.tile} * task.models + shared.now.model) * task.rows;
            __syncthreads();
#pragma unroll 1
            for (int x = static_cast<int>(threadIdx.x); x < models_a_block * count;
                 x += gram_threads) {
                const int m = x / count, row = x % count;
                if (within(m, models)) {
                    to[m * task.rows + row] = shared.sums[0][m][row] + shared.sums[1][m][row];
                }
            }
        }
    }
}

// ---- the launcher ------------------------------------------------------------------------------

template <class Product, class Term>
void launch(const Task& task, Stream stream) {
    const std::int64_t items = std::int64_t{task.walk.groups} * task.walk.tiles;
    add_terms<Product, Term><<<blocks_for(items, blocks_each, stream), gram_threads, 0,
                               static_cast<cudaStream_t>(stream.handle)>>>(task);
}

}  // namespace

void sum_tiles(const TileSums& in, Term term, Product product, Stream stream) {
    Task task{};
    task.units = in.units;
    task.fixed = reinterpret_cast<const float4*>(in.fixed);
    task.sums = in.sums;
    task.n = in.units.rows;
    task.models = static_cast<int>(in.models);
    task.walk = {(task.models + models_a_block - 1) / models_a_block, static_cast<int>(in.tiles),
                 static_cast<int>(in.first_tile), static_cast<int>(blocks_of(task.n))};
    task.laid = static_cast<int>(in.laid);
    task.rows = static_cast<int>(in.rows);
    task.rbf_normalised = in.rbf_normalised;
    if (term == Term::product && product == Product::fma) {
        launch<FmaProduct, Multiple>(task, stream);
    } else if (term == Term::difference && product == Product::fma) {
        launch<FmaProduct, Difference>(task, stream);
    } else if (term == Term::difference && product == Product::tf32x3) {
        launch<Tf32x3Product, Difference>(task, stream);
    } else if (term == Term::difference && product == Product::bfloat16) {
        launch<Bfloat16Product, Difference>(task, stream);
    } else {
        throw std::invalid_argument("tile_sums: a term or product that is not taken");
    }
    check_launch("tile_sums");
}

}  // namespace sacfast::cuda
