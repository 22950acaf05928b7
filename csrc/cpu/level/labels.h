// labels.h: which pairs of probes got equal labels, as float32 or as bits, and how bits differ.
//
// Labels come as codes, int32 that are equal where the labels are; `lanes` more of any value can
// be read behind the last. A row of the triangle is one comparison of a vector for `lanes` pairs.
//
// Why it is fast. `triangle` computes less than it stores, so only the stores count: rows begin at
// any address, hence they are put together in the L1 cache and leave it in whole cache lines, past
// the caches where the result doesn't fit them (no line is read before it is overwritten).
// `differences` never looks at a pair: it XORs 512 of them at a time and counts through carry-save
// adders (two ternary operations on v4 make three vectors one digit shorter), so that only one
// vector in eight is counted by table look-up.
#pragma once

#include <cstdint>

#include "cpu/level.h"

namespace sacfast {

constexpr std::int64_t pairs_a_line = 512;

// One bit a pair, lowest first; one cache line, which no load of a vector straddles.
struct alignas(64) PairBits {
    std::uint64_t word[pairs_a_line / 64];
};

struct LabelPairs {
    std::int64_t lanes;

    // out[0 .. P) = 1 where codes i < j are equal, else 0, packed row by row.
    void (*triangle)(const std::int32_t* codes, std::int64_t n, bool past_caches, float* out);
    // The same as bits; the last line is filled up with 0.
    void (*bits)(const std::int32_t* codes, std::int64_t n, PairBits* out);
    // How many bits of two rows differ, each `length` lines.
    std::int64_t (*differences)(const PairBits* a, const PairBits* b, std::int64_t length);
};

SACFAST_TABLE(LabelPairs, label_pairs)

}  // namespace sacfast
