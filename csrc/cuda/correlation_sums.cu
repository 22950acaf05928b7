// Plan. The fixed rows are laid out tile by tile (fixed_tiles.h), the sums of every tile are taken
// (tile_sums.h) and then added up (tile_totals.h), in as many rounds as scratch memory demands. The
// order of every sum is that of the tiles and depends on N alone: same bits for any batch, scratch
// and grid.
#include "cuda/correlation_sums.h"

#include <algorithm>

#include "cuda/fixed_tiles.h"
#include "cuda/rounds.h"
#include "cuda/tile_pairs.cuh"
#include "cuda/unit_rows.h"

namespace sacfast::cuda {
namespace {

constexpr std::int64_t most_rows = 4096;          // laid out at a time: 16 MB a tile
constexpr std::int64_t tile_bytes = 32 * 32 * 4;  // of a laid row

// What is done at a time: some rows, of those some models, of those some tiles.
class Rounds {
  public:
    // Bytes that a round takes beside its models', and those of a model.
    std::int64_t fixed(std::int64_t tiles) const {
        return aligned(tiles * laid_ * tile_bytes) + unit_rows_fixed_bytes;
    }
    auto cost(std::int64_t tiles) const {
        return [this, tiles](std::size_t s) {
            return aligned(tiles * sums_ * 4) + aligned(sums_ * 8) +
                   unit_model_bytes(in_.models[s], word_for(in_.product));
        };
    }

    explicit Rounds(const SumsInput& in)
        : in_(in),
          tiles_(tiles_of(in.models[0].rows)),
          laid_(laid_rows(std::min(in.rows.rows, most_rows))),
          sums_(sum_rows(in, std::min(in.rows.rows, most_rows))),
          least_(need_of_rounds(in.models.size(), fixed(1), cost(1)).least),
          all_(fixed(tiles_)) {
        for (std::size_t s = 0; s < in.models.size(); ++s) all_ += cost(tiles_)(s);
    }

    Need need() const { return {least_, std::max(least_, std::min(all_, enough_scratch))}; }
    // Tiles at a time: all where everything fits, else what half of the bytes beyond the least
    // hold, in rounds about equal.
    std::int64_t tiles(std::int64_t bytes) const {
        if (all_ <= bytes) return tiles_;
        const std::int64_t spare = std::max<std::int64_t>(0, bytes - least_) / 2;
        const std::int64_t most = std::min(tiles_, 1 + spare / (laid_ * tile_bytes + sums_ * 4));
        const std::int64_t rounds = (tiles_ + most - 1) / most;
        return (tiles_ + rounds - 1) / rounds;
    }
    static std::int64_t sum_rows(const SumsInput& in, std::int64_t rows) {
        return laid_rows(rows) + (in.term == Term::product ? rows_together : 0);
    }

  private:
    const SumsInput& in_;
    std::int64_t tiles_, laid_, sums_;
    std::int64_t least_;  // bytes: for one model, tile by tile
    std::int64_t all_;    // for everything at once
};

bool is_empty(const SumsInput& in) {
    return in.models.empty() || (in.rows.rows == 0 && in.term == Term::difference);
}

}  // namespace

Need correlation_sums_scratch(const SumsInput& in) {
    return is_empty(in) ? Need{0, 0} : Rounds(in).need();
}

void correlation_sums(const SumsInput& in, Scratch scratch, Stream stream, SumsResults results) {
    if (is_empty(in)) return;
    const Rounds rounds(in);
    const std::int64_t n = in.models[0].rows, all_tiles = tiles_of(n);
    const std::int64_t tiles = rounds.tiles(scratch.bytes);

    // Once where there are no rows: the squares want it.
    for (std::int64_t row = 0; row == 0 || row < in.rows.rows; row += most_rows) {
        Matrix rows = in.rows;
        rows.data += row * rows.row_stride;
        rows.rows = std::min(most_rows, in.rows.rows - row);
        const std::int64_t laid = laid_rows(rows.rows), sums = Rounds::sum_rows(in, rows.rows);
        Scratch beside_rows = scratch;
        float* fixed = take<float>(beside_rows, tiles * laid * tile_bytes / 4);
        std::int64_t laid_first = -1;  // the tiles that lie there
        const auto round = [&](std::size_t first, std::size_t last) {
            const std::vector<Matrix> models(in.models.begin() + static_cast<std::ptrdiff_t>(first),
                                             in.models.begin() + static_cast<std::ptrdiff_t>(last));
            const auto count = static_cast<std::int64_t>(last - first);
            Scratch left = beside_rows;
            float* of_tiles = take<float>(left, tiles * count * sums);
            double* totals = take<double>(left, count * sums);
            const UnitRows units = unit_rows(models, in.center, word_for(in.product), left, stream);
            for (std::int64_t tile = 0; tile < all_tiles; tile += tiles) {
                const std::int64_t here = std::min(tiles, all_tiles - tile);
                if (laid_first != tile) {
                    lay_fixed_tiles(rows, n, tile, here, in.product, stream, fixed);
                    laid_first = tile;
                }
                sum_tiles(
                    {units, fixed, of_tiles, count, tile, here, laid, sums, in.rbf_normalised},
                    in.term, in.product, stream);
                add_tiles({of_tiles, totals, here, count, sums, rows.rows,
                           static_cast<std::int64_t>(first), row, in.rows.rows,
                           static_cast<double>(in.rows.cols), tile == 0, tile + here == all_tiles,
                           results},
                          stream);
            }
        };
        in_rounds("correlation_sums", in.models.size(), rounds.fixed(tiles), rounds.cost(tiles),
                  scratch.bytes, round);
    }
}

}  // namespace sacfast::cuda
