// gram.cuh: the tile core. A warp makes the 32 x 32 products <a_i, b_j> of 32 columns of one panel
// of unit rows (unit_rows.h) with 32 of another; every kernel of correlations stands on it.
//
// Plan. A block of 256 threads is 8 warps. kTile = 32: eight slots, each a warp with panels of its
// own, which may belong to any model. kTile = 64: two slots of four warps, which share panels of 64
// columns and so read half as much. 8 words of both panels are a stage; while one is multiplied the
// next is copied, 16 bytes a thread, asynchronously. Tile sizes and neighbours change no bit.
//
// Shared rows are kTile + 8 words apart: 16-byte pieces stay aligned, and the four words by eight
// columns that a fragment of the tensor cores takes fall into 32 different banks.
//
// Products:
//   FmaProduct       float32 FMAs. A thread holds 8 rows x 4 columns: three 16-byte loads for 32
//                    FMAs. Neighbouring lanes read the same 16 bytes (lanes l and l ^ 1 those of
//                    the rows, l and l ^ 2 those of the columns), so that two wavefronts suffice.
//   Tf32x3Product    each number as a sum of two TF32 ones: high high + high low + low high on
//                    tensor cores. Per stage 24 instructions of 1024 multiply-adds replace 256
//                    FMAs a lane: 192 cycles against 512 on compute capability 8.0, 96 against 256
//                    on 9.0, by the published rates. On 8.6, 8.9 and 12.0 TF32 runs at no more than
//                    twice the rate of FMAs, and three products take longer than one.
//   Bfloat16Product  numbers rounded to bfloat16: an option, never the default.
//
// Numerics, u = 2^-24, for rows of length 1 (the sum of the |products| is at most 1). A chain of
// stages is added in registers. Its sum x goes to the total s as t = s + x, and what that addition
// lost, x - (t - s), is where the next chain begins: so only the roundings within the chains count,
// whatever the number of classes. Largest errors against float64:
//
//              proven                                                   found (simulator)
//   fma        64 roundings of a chain, operands 2 u: 66 u = 4e-6       13 u = 8e-7
//   tf32x3     7 instructions of a chain at 18 u (mma.cuh), the splits  39 u = 2.3e-6
//              32 u, operands 2 u: 160 u = 9.6e-6
//   bfloat16   operands 2^-7 + 2^-16, then as above: 7.9e-3             6.8e-3
//
// "Found" on the simulator of tests/hostsim, whose tensor cores cut off as mma.cuh says, on no GPU:
// the worst of all C up to 140 and some up to 4096, of rows of constants, of signs, random and
// nearly parallel ones (constants are the worst: their roundings all go one way); random rows stay
// below 5 u by FMAs.
#pragma once

#include <cstdint>

#include "cuda/launch.h"
#include "cuda/mma.cuh"
#include "cuda/primitives.cuh"

namespace sacfast::cuda {

constexpr int gram_threads = 256;
constexpr int warp_tile = 32;   // rows and columns of a warp's tile
constexpr int stage_words = 8;  // words of a stage

// Two panels of unit rows: word w of column i at w * stride + i. Multiples of 16 as addresses, the
// strides multiples of 4 and below 2^28; kTile columns of each are read.
struct Panels {
    const float* left;  // its columns are the rows of the tile
    const float* right;
    std::int64_t left_stride, right_stride;
    int words;
};

// Whether tiles of 64 are better: not where they hold a third more products than those of 32.
inline bool wide_tiles_pay(std::int64_t tiles_of_32, std::int64_t tiles_of_64) {
    return 3 * tiles_of_64 < tiles_of_32;
}

// Which part of a block's tiles a thread has.
template <int kTile>
struct Geometry {
    static_assert(kTile == 32 || kTile == 64, "panels of 32 or 64 columns");
    static constexpr int warps_a_side = kTile / warp_tile;
    static constexpr int warps_per_slot = warps_a_side * warps_a_side;
    static constexpr int threads_per_slot = warps_per_slot * 32;
    static constexpr int slots = gram_threads / threads_per_slot;
    static constexpr int stride = kTile + 8;  // of a panel in shared memory

    static __device__ int slot() { return static_cast<int>(threadIdx.x / threads_per_slot); }
    static __device__ int lane() { return static_cast<int>(threadIdx.x % 32); }
    // Of the slot's: this thread, this warp, and where the warp's tile begins.
    static __device__ unsigned thread() { return threadIdx.x % threads_per_slot; }
    static __device__ int warp() { return static_cast<int>(thread() / 32); }
    static __device__ int first_row() { return warp() / warps_a_side * warp_tile; }
    static __device__ int first_column() { return warp() % warps_a_side * warp_tile; }
};

// What the warps of a slot share. Between two calls of `gram` it is the caller's.
template <class Product, int kTile>
struct alignas(16) GramShared {
    float panels[Geometry<kTile>::slots][2][2][stage_words][Geometry<kTile>::stride];
};

// All threads of a slot, so that one sees what the others have written.
template <int kTile>
__device__ __forceinline__ void synchronise_slot() {
    if constexpr (Geometry<kTile>::warps_per_slot == 1) {
        __syncwarp();
    } else {
        __syncthreads();
    }
}

// ---- products: chain += the products of one stage; element e of a lane is row(lane, e),
// ---- column(lane, e) of the warp's tile. Elements 0..15 are rows 0..15.

struct FmaProduct {
    static constexpr int together = 4;  // elements from e on, a multiple of it, are neighbours
    static constexpr int stages_a_chain = 8;  // that are added before they go to the totals

    static __device__ __forceinline__ int row(int lane, int e) {
        return e / 16 * 16 + first_row(lane) + e / 4 % 4;
    }
    static __device__ __forceinline__ int column(int lane, int e) {
        return first_column(lane) + e % 4;
    }

    template <int kStride>
    static __device__ __forceinline__ void multiply(const float* left, const float* right, int lane,
                                                    float (&chain)[32]) {
        left += first_row(lane);
        right += first_column(lane);
#pragma unroll 4
        for (int word = 0; word < stage_words; ++word) {
            const float4 a0 = *reinterpret_cast<const float4*>(left + word * kStride);
            const float4 a1 = *reinterpret_cast<const float4*>(left + word * kStride + 16);
            const float4 b = *reinterpret_cast<const float4*>(right + word * kStride);
            const float rows[8] = {a0.x, a0.y, a0.z, a0.w, a1.x, a1.y, a1.z, a1.w};
            const float columns[4] = {b.x, b.y, b.z, b.w};
#pragma unroll
            for (int e = 0; e < 32; ++e) chain[e] = fmaf(rows[e / 4], columns[e % 4], chain[e]);
        }
    }

  private:
    static __device__ __forceinline__ int first_row(int lane) {
        return 4 * ((lane >> 1 & 1) + 2 * (lane >> 4));
    }
    static __device__ __forceinline__ int first_column(int lane) {
        return 4 * ((lane & 1) + 2 * (lane >> 2 & 3));
    }
};

// What the two products of tensor cores have in common: 2 x 4 tiles of 16 x 8.
struct TensorProduct {
    static constexpr int together = 2;

    static __device__ __forceinline__ int row(int lane, int e) {
        return e / 16 * 16 + e / 2 % 2 * 8 + lane / 4;
    }
    static __device__ __forceinline__ int column(int lane, int e) {
        return e / 4 % 4 * 8 + lane % 4 * 2 + e % 2;
    }

  protected:
    // Part `part` of this lane's piece of the tile that begins at `panel`: words t and t + 4 of
    // columns g and g + 8.
    template <int kStride>
    static __device__ __forceinline__ float word(const float* panel, int lane, int part) {
        return panel[(lane % 4 + part / 2 * 4) * kStride + lane / 4 + part % 2 * 8];
    }
};

struct Tf32x3Product : TensorProduct {
    static constexpr int stages_a_chain = 3;

    template <int kStride>
    static __device__ __forceinline__ void multiply(const float* left, const float* right, int lane,
                                                    float (&chain)[32]) {
        std::uint32_t a_high[2][4], a_low[2][4], b_high[4][2], b_low[4][2];
#pragma unroll
        for (int m = 0; m < 2; ++m) {
#pragma unroll
            for (int part = 0; part < 4; ++part) {
                const Split x = split(word<kStride>(left + 16 * m, lane, part));
                a_high[m][part] = x.high;
                a_low[m][part] = x.low;
            }
        }
#pragma unroll
        for (int n = 0; n < 4; ++n) {
#pragma unroll
            for (int part = 0; part < 2; ++part) {
                const Split x = split(word<kStride>(right + 8 * n, lane, 2 * part));
                b_high[n][part] = x.high;
                b_low[n][part] = x.low;
            }
        }
        // The small products first; each tile's three far apart, as one waits for the other.
#pragma unroll
        for (int tile = 0; tile < 8; ++tile) {
            mma_tf32(chain + 4 * tile, a_low[tile / 4], b_high[tile % 4]);
        }
#pragma unroll
        for (int tile = 0; tile < 8; ++tile) {
            mma_tf32(chain + 4 * tile, a_high[tile / 4], b_low[tile % 4]);
        }
#pragma unroll
        for (int tile = 0; tile < 8; ++tile) {
            mma_tf32(chain + 4 * tile, a_high[tile / 4], b_high[tile % 4]);
        }
    }
};

struct Bfloat16Product : TensorProduct {
    static constexpr int stages_a_chain = 8;

    template <int kStride>
    static __device__ __forceinline__ void multiply(const float* left, const float* right, int lane,
                                                    float (&chain)[32]) {
        std::uint32_t a[2][4], b[4][2];
#pragma unroll
        for (int i = 0; i < 8; ++i) {
            a[i / 4][i % 4] = __float_as_uint(word<kStride>(left + i / 4 * 16, lane, i % 4));
            b[i / 2][i % 2] = __float_as_uint(word<kStride>(right + i / 2 * 8, lane, i % 2 * 2));
        }
#pragma unroll
        for (int tile = 0; tile < 8; ++tile) {
            mma_bfloat16(chain + 4 * tile, a[tile / 4], b[tile % 4]);
        }
    }
};

// ---- the tile core -----------------------------------------------------------------------------

// The copies of one thread: 16 bytes of one or two words of each panel, stage after stage.
template <int kTile>
class StageCopies {
    using G = Geometry<kTile>;
    static constexpr int pieces = kTile / 4;                    // of 16 bytes, in a word
    static constexpr int apart = G::threads_per_slot / pieces;  // words copied at a time
    static constexpr int panel_size = stage_words * G::stride;

  public:
    // `panels`: the slot's, two stages of two panels.
    __device__ __forceinline__ StageCopies(const Panels& mine, float* panels)
        : left_stride_(static_cast<int>(mine.left_stride)),
          right_stride_(static_cast<int>(mine.right_stride)) {
        const int word = static_cast<int>(G::thread() / pieces);
        const int column = static_cast<int>(G::thread() % pieces) * 4;
        words_ = mine.words - word;
        to_ = panels + word * G::stride + column;
        left_ = mine.left + word * left_stride_ + column;
        right_ = mine.right + word * right_stride_ + column;
    }

    // Begins to copy the next stage into buffer `buffer`. Words beyond the last become zeros, and
    // nothing is read for them.
    __device__ __forceinline__ void begin(int buffer) {
        float* to = to_ + buffer * 2 * panel_size;
#pragma unroll
        for (int word = 0; word < stage_words; word += apart) {
            const bool valid = within(word, words_);
            copy_16_async(to + word * G::stride, left_ + word * left_stride_, valid);
            copy_16_async(to + panel_size + word * G::stride, right_ + word * right_stride_, valid);
        }
        commit_copies();
        words_ -= stage_words;
        left_ += stage_words * left_stride_;
        right_ += stage_words * right_stride_;
    }

  private:
    int words_;  // from this thread's first one of the next stage on
    int left_stride_, right_stride_;
    float* to_;
    const float *left_, *right_;
};

// Adds the chains to the totals; a chain goes on with what the sum lost.
__device__ __forceinline__ void add_chains(float (&tile)[32], float (&chain)[32]) {
#pragma unroll
    for (int e = 0; e < 32; ++e) {
        const float total = tile[e] + chain[e];
        chain[e] -= total - tile[e];
        tile[e] = total;
    }
}

// tile = the products of this warp's part of its slot's two panels. Called by all 256 threads of a
// block; `most_words` is the same for all of them, at least every slot's `words`. A slot that has
// nothing to do passes words = 0: nothing is read from its addresses. Nobody may still be using the
// slot's part of `shared`; on return it is free again.
template <class Product, int kTile>
__device__ __forceinline__ void gram(const Panels& mine, int most_words,
                                     GramShared<Product, kTile>& shared, float (&tile)[32]) {
    using G = Geometry<kTile>;
    float* panels = &shared.panels[G::slot()][0][0][0][0];
    constexpr int panel_size = stage_words * G::stride;
    const int stages = (mine.words + stage_words - 1) / stage_words;
    // Warps that share panels meet at every stage, a warp on its own meets nobody.
    const int turns =
        G::warps_per_slot == 1 ? stages : (most_words + stage_words - 1) / stage_words;
    StageCopies<kTile> copies(mine, panels);
    if (stages > 0) copies.begin(0);
    float chain[32];
#pragma unroll
    for (int e = 0; e < 32; ++e) tile[e] = chain[e] = 0.0f;
#pragma unroll 1
    for (int stage = 0; stage < turns; ++stage) {
        wait_for_copies<0>();
        synchronise_slot<kTile>();
        if (stage + 1 < stages) copies.begin((stage + 1) % 2);
        if (stage < stages) {
            const float* left = panels + stage % 2 * 2 * panel_size;
            Product::template multiply<G::stride>(
                left + G::first_row(), left + panel_size + G::first_column(), G::lane(), chain);
            if (stage % Product::stages_a_chain == Product::stages_a_chain - 1 ||
                stage + 1 == stages) {
                add_chains(tile, chain);
            }
        }
    }
    synchronise_slot<kTile>();
}

}  // namespace sacfast::cuda
