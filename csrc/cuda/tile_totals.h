// tile_totals.h: the sums of tiles (correlation_sums.h) added up, and handed out as results.
#pragma once

#include <cstdint>

#include "cuda/launch.h"

namespace sacfast::cuda {

// Where the sums of model s go: row `places[s]` of the results, or row s where `places` is null.
struct SumsResults {
    float* mean;      // [S, K] the sums over P; or null
    double* sums;     // [S, K]; or null, and then so is
    double* squares;  // [S]
    const std::int32_t* places;
};

// The sums of the tiles, added to those of earlier launches; the last one hands them out.
struct TileTotals {
    const float* sums;  // [tiles][models][rows]
    double* totals;     // [models][rows]
    std::int64_t tiles, models, rows;
    std::int64_t columns;                                 // fixed rows among them
    std::int64_t first_model, first_row, result_columns;  // in the results
    double pairs;
    bool begins, ends;
    SumsResults results;
};

void add_tiles(const TileTotals& task, Stream stream);

}  // namespace sacfast::cuda
