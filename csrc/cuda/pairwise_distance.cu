// pairwise_distance.cu: mean |a - b| over the pairs, for every row of a and of b.
//
//   in   a         [A, P]          float32; rows of numbers, the distance between rows is free
//        b         [B, P] or null  likewise; null compares a with itself
//   out  distance  float32 [A, B]  row by row
//
// Oracle: kernels/reference.py, pairwise_distance.
//
// Plan. An item is one tile of distances over one part of the pairs: 64 x 64 distances, or 128 x 24
// where that leaves less of the tiles empty (few sources; rows and columns change places where that
// helps). A block of 128 threads copies 16 numbers of each row to shared memory, asynchronously,
// while it works on the 16 before: 16, 8 or 4 bytes at a time, as the alignment of the rows allows.
// A thread has 4 rows x 8 columns, or 8 x 3, and takes four numbers of a row in one load. Rows lie
// 20 numbers apart, so that the eight rows that a quarter of a warp reads fill all 32 banks once.
// An item leaves its tile's sums in scratch, in the order in which threads hold them; a second
// kernel adds the parts of each distance and writes it, where a is compared with itself to the
// mirrored place too: only tiles on and above the diagonal are made. Items go through all tiles of
// one part of the pairs before the next, so that 5000 rows are read from the L2 cache.
//
// Occupancy. 155 to 166 registers and 20 KB (24 KB) of shared memory: three blocks of four warps on
// a multiprocessor from 8.0 to 12.0, each thread with 32 (24) sums under way. `finish` takes 48 to
// 64 registers: four blocks of eight warps.
//
// What bounds it: two float32 additions an element, the absolute value being free on an operand;
// 91% of the instructions of the inner loop of the 64 x 64 tile are such (89% of the other's; 87%
// and 83% where rows are aligned to 4 bytes only). Shared memory: 12 loads of 16 bytes a warp (11)
// per 256 (192) additions a thread, at worst 48 (44) cycles of a multiprocessor against 64 (48) of
// its 128 lanes, and 128 (96) of the 64 lanes of compute capability 8.0. L2: 16 KB a tile and 32
// numbers, 8 bytes a cycle and multiprocessor. With 20 sources the rows come from memory: 4 bytes
// for 48 additions.
//
// Numerics. Four differences are added as a tree, 8 such sums in a chain (32 numbers), 8 chains to
// a chunk (256), 8 chunks to a group (2048), all in float32; the groups in float64. A part of the
// pairs is a chunk where there are few tiles, else a group, and little scratch splits the work into
// rounds, but the sum is always taken in this order: a distance depends on its two rows alone.
// Sums of one sign lose little: in the worst case, constant rows, at most 6 u of the mean at the
// three levels, where u = 2^-24 (8192 numbers, a million constants tried); the differences and the
// result round by u / 2 of up to 2 each. Within 8 u, 4.8e-7, for values in [-1, 1]. NaN comes from
// NaN and from equal infinities alone. Where a sum is infinite (infinities, values near 3e38) the
// distance is taken again by the definition in float64, slowly.
#include "cuda/pairwise_distance.h"

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <utility>

#include "cuda/primitives.cuh"
#include "cuda/rounds.h"

namespace sacfast::cuda {
namespace {

constexpr int threads = 128;
constexpr int down = 16, across = 8;  // threads along the rows and the columns of a tile
constexpr int panel = 16;             // numbers of each row in one stage
constexpr int row_stride = panel + 4;
constexpr int panels_a_chain = 2, chains_a_chunk = 8, chunks_a_group = 8;
constexpr int chunk = panel * panels_a_chain * chains_a_chunk;
constexpr int blocks_per_multiprocessor = 3;
constexpr int finish_threads = 256, finish_blocks_per_multiprocessor = 4;
constexpr std::int64_t most_tiles = (std::int64_t{1} << 31) - 1;
constexpr std::int64_t enough_items = 2048;  // several for each place that a large GPU has

struct Rows {
    const float* data;
    std::int64_t count;
    std::int64_t stride;  // in numbers
};

struct Problem {
    Rows left, right;  // the rows and the columns of the tiles
    std::int64_t pairs;
    std::int64_t row_step, column_step;  // of a distance, in numbers
    bool symmetric;
    std::uint32_t tile_rows, tile_columns;  // tiles along the rows and the columns
};

// One round: some tiles, some parts of the pairs.
struct Round {
    std::uint32_t first_tile, tiles;
    std::uint32_t parts;  // there is memory for tiles * parts of 12 KB: below 2^32
    std::int64_t first_part;
    int chunks_a_part;  // 1, or those of a group
    bool last;          // of its tiles' rounds
};

struct Place {
    std::int64_t row, column;  // of a tile, in tiles
};

// The tiles on and above the diagonal, row r with the one that is as much shorter as r is longer
// than half: all such pairs have one length. Otherwise row by row.
__device__ __forceinline__ Place tile_place(const Problem& problem, std::uint32_t tile) {
    if (!problem.symmetric) return {tile / problem.tile_columns, tile % problem.tile_columns};
    const std::uint32_t side = problem.tile_rows, width = side | 1;
    std::uint32_t row = tile / width, step = tile % width;
    if (step >= side - row) {
        step -= side - row;
        row = 2 * side - width - row;
    }
    return {row, row + step};
}

// What a thread copies of the `kRows` rows from `first` on: some numbers of every panel, of every
// `rows_a_pass`-th row. Beyond the last row it copies that one again; nobody looks at the result.
template <int kRows, int kWidth>
class Feed {
  public:
    __device__ __forceinline__ Feed(const Rows& rows, std::int64_t first)
        : stride_(rows.stride),
          row_(static_cast<int>(threadIdx.x) / copies),
          column_(static_cast<int>(threadIdx.x) % copies * kWidth) {
        const std::int64_t row = within(first + row_, rows.count) ? first + row_ : rows.count - 1;
        rows_ = within(first + kRows, rows.count) ? kRows : static_cast<int>(rows.count - first);
        data_ = rows.data + row * stride_;
    }

    // Begins to copy the 16 numbers from `start` on; zeros beyond the pairs.
    __device__ __forceinline__ void copy(std::int64_t start, std::int64_t pairs,
                                         float (&shared)[kRows][row_stride]) const {
        const bool valid = within(start + column_, pairs);
        const float* from = data_ + (valid ? start + column_ : 0);
#pragma unroll(kWidth == 1 ? 2 : 4)  // more would take too many registers
        for (int i = 0; i < kRows; i += rows_a_pass) {
            if (kRows % rows_a_pass != 0 && !within(row_ + i, kRows)) break;
            copy_async<4 * kWidth>(&shared[row_ + i][column_], from, valid);
            if (within(row_ + i + rows_a_pass, rows_)) from += rows_a_pass * stride_;
        }
    }

  private:
    static constexpr int copies = panel / kWidth;  // of one row
    static constexpr int rows_a_pass = threads / copies;
    const float* data_;
    std::int64_t stride_;
    int rows_;
    int row_, column_;
};

__device__ __forceinline__ float difference(const float4& a, const float4& b) {
    return (fabsf(a.x - b.x) + fabsf(a.y - b.y)) + (fabsf(a.z - b.z) + fabsf(a.w - b.w));
}

// Adds the differences of one panel to the chains, or begins them.
template <int kRows, int kColumns>
__device__ __forceinline__ void add_panel(const float (&left)[down * kRows][row_stride],
                                          const float (&right)[across * kColumns][row_stride],
                                          bool begin, float (&chain)[kRows][kColumns]) {
    const int row = static_cast<int>(threadIdx.x) / across;
    const int column = static_cast<int>(threadIdx.x) % across;
#pragma unroll
    for (int p = 0; p < panel; p += 4) {
        float4 a[kRows];
#pragma unroll
        for (int r = 0; r < kRows; ++r) {
            a[r] = *reinterpret_cast<const float4*>(&left[row + down * r][p]);
        }
#pragma unroll
        for (int c = 0; c < kColumns; ++c) {
            const float4 b = *reinterpret_cast<const float4*>(&right[column + across * c][p]);
#pragma unroll
            for (int r = 0; r < kRows; ++r) {
                const float sum = difference(a[r], b);
                chain[r][c] = begin && p == 0 ? sum : chain[r][c] + sum;
            }
        }
    }
}

template <int kRows, int kColumns>
__device__ __forceinline__ void add(const float (&from)[kRows][kColumns],
                                    float (&to)[kRows][kColumns]) {
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
#pragma unroll
        for (int c = 0; c < kColumns; ++c) to[r][c] += from[r][c];
    }
}

template <int kRows, int kColumns>
__device__ __forceinline__ void clear(float (&sums)[kRows][kColumns]) {
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
#pragma unroll
        for (int c = 0; c < kColumns; ++c) sums[r][c] = 0.0f;
    }
}

template <int kRows, int kColumns, int kWidth>
__global__ void __launch_bounds__(threads, blocks_per_multiprocessor)
    sum_tiles(const __grid_constant__ Problem problem, const __grid_constant__ Round round,
              float* __restrict__ sums) {
    constexpr int rows = down * kRows, columns = across * kColumns;
    __shared__ __align__(16) float left[panels_a_chain][rows][row_stride];
    __shared__ __align__(16) float right[panels_a_chain][columns][row_stride];
    const std::uint32_t items = round.tiles * round.parts;

    for (std::int64_t at = blockIdx.x; at < items; at += gridDim.x) {
        const auto item = static_cast<std::uint32_t>(at);
        const Place tile = tile_place(problem, round.first_tile + item % round.tiles);
        const std::int64_t part = round.first_part + item / round.tiles;
        const std::int64_t start = part * round.chunks_a_part * chunk;
        const std::int64_t end = min(start + round.chunks_a_part * chunk, problem.pairs);
        const Feed<rows, kWidth> left_feed(problem.left, tile.row * rows);
        const Feed<columns, kWidth> right_feed(problem.right, tile.column * columns);
        const auto load = [&](std::int64_t from, int stage) {
            left_feed.copy(from, problem.pairs, left[stage]);
            right_feed.copy(from, problem.pairs, right[stage]);
            commit_copies();
        };

        float chain[kRows][kColumns], chunk_sum[kRows][kColumns], sum[kRows][kColumns];
        clear(chunk_sum);
        clear(sum);
        // The last panel of the item before was in the other stage.
        load(start, 0);
        int chains = 0;
        for (std::int64_t p = start; p < end; p += panels_a_chain * panel) {
#pragma unroll
            for (int stage = 0; stage < panels_a_chain; ++stage) {
                wait_for_copies<0>();
                __syncthreads();
                const std::int64_t next = p + (stage + 1) * panel;
                if (stage == 0 || next < end) load(next, 1 - stage);
                add_panel(left[stage], right[stage], stage == 0, chain);
            }
            add(chain, chunk_sum);
            if (++chains == chains_a_chunk) {
                add(chunk_sum, sum);
                clear(chunk_sum);
                chains = 0;
            }
        }
        add(chunk_sum, sum);

        float* mine = sums + at * (rows * columns) + threadIdx.x;
#pragma unroll
        for (int r = 0; r < kRows; ++r) {
#pragma unroll
            for (int c = 0; c < kColumns; ++c) mine[(r * kColumns + c) * threads] = sum[r][c];
        }
    }
}

// By the definition, for sums that leave float32.
__device__ double plain_sum(const float* a, const float* b, std::int64_t pairs) {
    double sum = 0.0;
    for (std::int64_t p = 0; p < pairs; ++p) {
        sum += fabs(static_cast<double>(a[p]) - static_cast<double>(b[p]));
    }
    return sum;
}

// Adds the parts of each distance and writes it, or what there is so far.
template <int kRows, int kColumns>
__global__ void __launch_bounds__(finish_threads, finish_blocks_per_multiprocessor)
    finish(const __grid_constant__ Problem problem, const __grid_constant__ Round round,
           const float* __restrict__ sums, double* __restrict__ totals,
           float* __restrict__ distance) {
    constexpr int elements = down * kRows * across * kColumns;
    const std::int64_t count = std::int64_t{round.tiles} * elements;
    for (std::int64_t at = std::int64_t{blockIdx.x} * finish_threads + threadIdx.x;
         within(at, count); at += std::int64_t{gridDim.x} * finish_threads) {
        const Place tile =
            tile_place(problem, round.first_tile + static_cast<std::uint32_t>(at / elements));
        const int element = static_cast<int>(at % elements), thread = element % threads;
        const int r = element / threads / kColumns, c = element / threads % kColumns;
        const std::int64_t row = tile.row * (down * kRows) + thread / across + down * r;
        const std::int64_t column =
            tile.column * (across * kColumns) + thread % across + across * c;
        if (!within(row, problem.left.count) || !within(column, problem.right.count)) continue;

        double total = round.first_part == 0 ? 0.0 : totals[at];
        for (std::int64_t part = 0; part < round.parts; part += chunks_a_group) {
            float values[chunks_a_group];  // all under way at once
#pragma unroll
            for (int k = 0; k < chunks_a_group; ++k) {
                values[k] = within(part + k, round.parts) ? sums[(part + k) * count + at] : 0.0f;
            }
            if (round.chunks_a_part == 1) {
                float group = 0.0f;  // in the order of sum_tiles
#pragma unroll
                for (int k = 0; k < chunks_a_group; ++k) group += values[k];
                total += static_cast<double>(group);
            } else {
#pragma unroll
                for (int k = 0; k < chunks_a_group; ++k) total += static_cast<double>(values[k]);
            }
        }
        if (!round.last) {
            totals[at] = total;
            continue;
        }
        if (isinf(total)) {
            total = plain_sum(problem.left.data + row * problem.left.stride,
                              problem.right.data + column * problem.right.stride, problem.pairs);
        }
        const float mean = static_cast<float>(total / static_cast<double>(problem.pairs));
        distance[row * problem.row_step + column * problem.column_step] = mean;
        if (problem.symmetric && tile.row != tile.column) {
            distance[column * problem.row_step + row * problem.column_step] = mean;
        }
    }
}

// ---- the launcher ------------------------------------------------------------------------------

template <int kRows, int kColumns>
struct Tile {
    static constexpr std::int64_t rows = down * kRows, columns = across * kColumns;
    static constexpr std::int64_t bytes = rows * columns * sizeof(float);  // of one part's sums

    static std::int64_t along_rows(std::int64_t n) { return (n + rows - 1) / rows; }
    static std::int64_t along_columns(std::int64_t n) { return (n + columns - 1) / columns; }
    // How many elements the tiles have that hold n x m distances.
    static std::int64_t area(std::int64_t n, std::int64_t m) {
        return along_rows(n) * rows * along_columns(m) * columns;
    }
};
using Square = Tile<4, 8>;
using Narrow = Tile<8, 3>;

constexpr std::int64_t most_bytes = std::int64_t{1} << 62;
constexpr std::int64_t total_bytes = 2 * std::max(Square::bytes, Narrow::bytes);  // of one tile

// Everything that follows from the shapes.
struct Plan {
    Problem problem;
    bool narrow;
    std::int64_t tiles, tile_bytes;
    std::int64_t chunks, groups;

    // How much holds `parts` parts of every tile's sums, or more than anybody has.
    std::int64_t bytes_for(std::int64_t parts) const {
        std::int64_t bytes;
        const bool too_many = __builtin_mul_overflow(tiles * tile_bytes, parts, &bytes);
        return too_many || bytes > most_bytes ? most_bytes : bytes;
    }
    // In chunks, where groups leave too little to do at once; if `bytes` of scratch hold all.
    bool by_chunks(std::int64_t bytes) const {
        return bytes_for(groups) < enough_items * tile_bytes && bytes_for(chunks) <= bytes;
    }
};

Rows rows_of(const Matrix& m) {
    if (m.rows > 0 && m.cols > 0 && !in_place<float>(m)) {
        throw std::invalid_argument("pairwise_distance: rows must be float32 numbers in order");
    }
    return {reinterpret_cast<const float*>(m.data), m.rows,
            m.row_stride / static_cast<std::int64_t>(sizeof(float))};
}

Plan plan_for(const Matrix& a, const Matrix* b) {
    Plan plan{};
    Problem& problem = plan.problem;
    problem.symmetric = b == nullptr;
    problem.left = rows_of(a);
    problem.right = problem.symmetric ? problem.left : rows_of(*b);
    problem.pairs = a.cols;
    problem.row_step = problem.right.count;
    problem.column_step = 1;
    if (problem.left.count < problem.right.count) {  // as |a - b| = |b - a|
        std::swap(problem.left, problem.right);
        std::swap(problem.row_step, problem.column_step);
    }
    const std::int64_t rows = problem.left.count, columns = problem.right.count;
    // The square tile makes better use of a thread's loads.
    plan.narrow =
        !problem.symmetric && Narrow::area(rows, columns) < Square::area(rows, columns) / 8 * 7;
    const std::int64_t down_tiles =
        plan.narrow ? Narrow::along_rows(rows) : Square::along_rows(rows);
    const std::int64_t across_tiles =
        plan.narrow ? Narrow::along_columns(columns) : Square::along_columns(columns);
    plan.tiles = problem.symmetric ? down_tiles * (down_tiles + 1) / 2 : down_tiles * across_tiles;
    if (plan.tiles > most_tiles) {
        throw std::invalid_argument("pairwise_distance: more distances than any memory holds");
    }
    problem.tile_rows = static_cast<std::uint32_t>(down_tiles);
    problem.tile_columns = static_cast<std::uint32_t>(across_tiles);
    plan.tile_bytes = plan.narrow ? Narrow::bytes : Square::bytes;
    plan.chunks = (problem.pairs + chunk - 1) / chunk;
    plan.groups = (plan.chunks + chunks_a_group - 1) / chunks_a_group;
    return plan;
}

// Whether the rows consist of pieces of `numbers` numbers that can be copied at once.
bool in_pieces(const Rows& rows, std::int64_t pairs, std::int64_t numbers) {
    const auto bytes = static_cast<std::uintptr_t>(numbers) * sizeof(float);
    return pairs % numbers == 0 && reinterpret_cast<std::uintptr_t>(rows.data) % bytes == 0 &&
           (rows.count == 1 || rows.stride % numbers == 0);
}

template <int kRows, int kColumns>
void launch(const Problem& problem, const Round& round, float* sums, double* totals, Stream stream,
            float* distance) {
    const auto on = static_cast<cudaStream_t>(stream.handle);
    const auto pieces = [&](std::int64_t numbers) {
        return in_pieces(problem.left, problem.pairs, numbers) &&
               in_pieces(problem.right, problem.pairs, numbers);
    };
    const unsigned blocks =
        blocks_for(std::int64_t{round.tiles} * round.parts, blocks_per_multiprocessor, stream);
    if (pieces(4)) {
        sum_tiles<kRows, kColumns, 4><<<blocks, threads, 0, on>>>(problem, round, sums);
    } else if (pieces(2)) {
        sum_tiles<kRows, kColumns, 2><<<blocks, threads, 0, on>>>(problem, round, sums);
    } else {
        sum_tiles<kRows, kColumns, 1><<<blocks, threads, 0, on>>>(problem, round, sums);
    }
    check_launch("pairwise_distance");

    const std::int64_t elements =
        round.tiles * Tile<kRows, kColumns>::rows * Tile<kRows, kColumns>::columns;
    const unsigned finishers = blocks_for((elements + finish_threads - 1) / finish_threads,
                                          finish_blocks_per_multiprocessor, stream);
    finish<kRows, kColumns>
        <<<finishers, finish_threads, 0, on>>>(problem, round, sums, totals, distance);
    check_launch("pairwise_distance");
}

}  // namespace

Need pairwise_distance_scratch(const Matrix& a, const Matrix* b) {
    const Plan plan = plan_for(a, b);
    const std::int64_t least = total_bytes + plan.tile_bytes;
    const std::int64_t wanted =
        plan.bytes_for(plan.by_chunks(enough_scratch) ? plan.chunks : plan.groups);
    return {least, std::max(least, std::min(total_bytes + wanted, enough_scratch))};
}

void pairwise_distance(const Matrix& a, const Matrix* b, Scratch scratch, Stream stream,
                       float* distance) {
    const Plan plan = plan_for(a, b);
    if (plan.tiles == 0 || plan.chunks == 0) return;
    if (scratch.bytes < total_bytes + plan.tile_bytes) {
        throw std::invalid_argument("pairwise_distance: too little scratch memory");
    }
    double* totals = reinterpret_cast<double*>(scratch.data);
    float* sums = reinterpret_cast<float*>(scratch.data + total_bytes);
    const std::int64_t bytes = scratch.bytes - total_bytes;
    const std::int64_t room = std::min(bytes / plan.tile_bytes, most_tiles);

    Round round{};
    const bool by_chunks = plan.by_chunks(bytes);
    const std::int64_t parts = by_chunks ? plan.chunks : plan.groups;
    round.chunks_a_part = by_chunks ? 1 : chunks_a_group;
    // As many tiles at a time as there is room for with all parts; else a tile in several rounds.
    const std::int64_t tiles = std::clamp<std::int64_t>(room / parts, 1, plan.tiles);
    for (std::int64_t tile = 0; tile < plan.tiles; tile += tiles) {
        round.first_tile = static_cast<std::uint32_t>(tile);
        round.tiles = static_cast<std::uint32_t>(std::min(tiles, plan.tiles - tile));
        for (std::int64_t part = 0; part < parts; part += room) {
            round.first_part = part;
            round.parts = static_cast<std::uint32_t>(std::min(room, parts - part));
            round.last = part + round.parts == parts;
            if (plan.narrow) {
                launch<8, 3>(plan.problem, round, sums, totals, stream, distance);
            } else {
                launch<4, 8>(plan.problem, round, sums, totals, stream, distance);
            }
        }
    }
}

}  // namespace sacfast::cuda
