// Plan, bounds and numerics: tile_sums.cu for the models that go pair by pair,
// class_products.cu for those that go class by class; which way depends on N, C_s, K and the C_k
// alone. Counted are multiply-adds as tiles make them, padding included.
//
// Always FMAs, on every device: tensor cores may cut off what they add, all to one side. That moves
// <c, c> by up to 3e-6 of it, and what the null bank leaves of c is a few percent: more than the
// partial score, which divides by that, can bear.
//
// Numerics. Neither way was ever seen to err by more than 2e-7 |c| |row|, and by 1e-8 of that for
// different models.
#include "cuda/correlation_products.h"

#include <algorithm>

#include "cuda/class_panels.h"
#include "cuda/class_products.h"
#include "cuda/correlation_sums.h"
#include "cuda/numbers.h"
#include "cuda/rounds.h"
#include "cuda/tile_pairs.cuh"

namespace sacfast::cuda {
namespace {

// The models of one way, and where they are among all.
struct Part {
    std::vector<Matrix> models;
    std::vector<std::int32_t> places;

    void add(const Matrix& model, std::size_t place) {
        models.push_back(model);
        places.push_back(static_cast<std::int32_t>(place));
    }
};

struct Parts {
    Part pairs, classes;
};

double pairs_cost(const Matrix& model, std::int64_t rows) {
    const double products = static_cast<double>(model.cols) + static_cast<double>(rows) + 1.0;
    return static_cast<double>(tiles_of(model.rows)) * warp_tile * warp_tile * products;
}

Parts parts_of(const std::vector<Matrix>& models, const Matrix& rows,
               const std::vector<Matrix>& origins) {
    const auto narrow = [](const Matrix& m) { return m.cols > 0 && m.cols <= most_classes; };
    const bool possible = !origins.empty() && std::all_of(origins.begin(), origins.end(), narrow);
    const std::int64_t groups = possible ? class_groups(origins) : 0;
    Parts parts;
    for (std::size_t s = 0; s < models.size(); ++s) {
        const Matrix& m = models[s];
        const bool by_classes = possible && narrow(m) && m.rows > 1 &&
                                class_products_cost(m, groups) < pairs_cost(m, rows.rows);
        (by_classes ? parts.classes : parts.pairs).add(m, s);
    }
    return parts;
}

std::int64_t places_bytes(const Parts& parts) {
    return aligned(static_cast<std::int64_t>(parts.pairs.places.size()) * 4) +
           aligned(static_cast<std::int64_t>(parts.classes.places.size()) * 4);
}

SumsInput sums_input(const Parts& parts, const Matrix& rows, Center center) {
    return {parts.pairs.models, rows, center, false, Product::fma, Term::product};
}

const std::int32_t* put_places(const Part& part, Scratch& scratch, Stream stream) {
    auto* places = take<std::int32_t>(scratch, static_cast<std::int64_t>(part.places.size()));
    put_numbers(part.places, places, stream);
    return places;
}

}  // namespace

Need correlation_products_scratch(const std::vector<Matrix>& models, const Matrix& rows,
                                  const std::vector<Matrix>& origins) {
    const Parts parts = parts_of(models, rows, origins);
    const std::int64_t places = places_bytes(parts);
    const Need pairs = correlation_sums_scratch(sums_input(parts, rows, Center::none));
    const Need classes = class_products_scratch(parts.classes.models, origins);
    return {places + std::max(pairs.least, classes.least),
            places + std::max(pairs.most, classes.most)};
}

void correlation_products(const std::vector<Matrix>& models, const Matrix& rows,
                          const std::vector<Matrix>& origins, Center center, Scratch scratch,
                          Stream stream, double* products, double* squares) {
    if (models.empty()) return;
    const Parts parts = parts_of(models, rows, origins);
    const std::int32_t* places = put_places(parts.pairs, scratch, stream);
    const std::int32_t* class_places = put_places(parts.classes, scratch, stream);
    correlation_sums(sums_input(parts, rows, center), scratch, stream,
                     {nullptr, products, squares, places});
    class_products(parts.classes.models, origins, class_places, center, scratch, stream, products,
                   squares);
}

}  // namespace sacfast::cuda
