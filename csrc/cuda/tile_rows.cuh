// tile_rows.cuh: a warp's tile, from the registers of its lanes to rows of memory.
//
// The elements of a lane lie in several rows (gram.cuh), so that a warp would write short pieces of
// many rows at once. They go through shared memory, half a tile at a time, and leave as rows of 32.
#pragma once

#include <cstdint>

#include "cuda/gram.cuh"

namespace sacfast::cuda {

// Shared rows are 36 apart: the 16-byte pieces of FmaProduct fall into different banks, eight at a
// time.
constexpr int tile_row_stride = warp_tile + 4;

// write(row, value) for the 32 rows of this warp's tile, in every lane with the value of its
// column. The slot's part of `shared` must be free, and is again on return.
template <class Product, int kTile, typename Write>
__device__ __forceinline__ void for_rows(const float (&tile)[32],
                                         GramShared<Product, kTile>& shared, const Write& write) {
    using G = Geometry<kTile>;
    constexpr int half_rows = warp_tile / 2, size = half_rows * tile_row_stride;
    static_assert(size * sizeof(float) * G::warps_per_slot <= sizeof shared.panels[0]);
    static_assert(size % 4 == 0);
    float* staged = &shared.panels[G::slot()][0][0][0][0] + G::warp() * size;
    const int lane = G::lane();
#pragma unroll
    for (int half = 0; half < 2; ++half) {
#pragma unroll
        for (int e = half * 16; e < half * 16 + 16; e += Product::together) {
            float* at = staged + (Product::row(lane, e) - half * half_rows) * tile_row_stride +
                        Product::column(lane, e);
            if constexpr (Product::together == 4) {
                *reinterpret_cast<float4*>(at) =
                    make_float4(tile[e], tile[e + 1], tile[e + 2], tile[e + 3]);
            } else {
                static_assert(Product::together == 2);
                *reinterpret_cast<float2*>(at) = make_float2(tile[e], tile[e + 1]);
            }
        }
        __syncwarp();
#pragma unroll 4
        for (int row = 0; row < half_rows; ++row) {
            write(staged[row * tile_row_stride + lane]);
        }
        if (half == 0) __syncwarp();
    }
    synchronise_slot<kTile>();
}

}  // namespace sacfast::cuda
