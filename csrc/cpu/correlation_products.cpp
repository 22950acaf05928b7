#include "cpu/correlation_products.h"

#include <algorithm>
#include <cmath>

#include "cpu/buffer.h"
#include "cpu/correlation_segments.h"
#include "cpu/fixed_rows.h"
#include "cpu/level/class_tiles.h"
#include "cpu/level/double_tiles.h"
#include "cpu/level/row_tiles.h"
#include "cpu/parallel.h"

namespace sacfast {
namespace {

constexpr std::int64_t most_models = 64;        // that share one pass over the fixed rows
constexpr std::int64_t group_bytes = 16 << 20;  // their packs and a piece of their correlations
constexpr std::int64_t most_pairs = 1 << 16;    // of such a piece
constexpr std::int64_t strip = 2 * pair_chunk;  // 64 models' and 120 rows' share: 1.5 MB of cache
constexpr std::int64_t class_bytes = 1 << 20;   // of unit rows that pass a panel together

// Rows of which the mean was subtracted sum to 0, so one of their C coordinates says nothing: they
// are turned (Helmert's rotation) into C - 1 coordinates with the same inner products.
bool is_turned(const Matrix& outputs, Center center) {
    return center != Center::none && outputs.cols > 1;
}

// Coordinates of a model's unit rows.
std::int64_t classes_of(const Matrix& outputs, Center center) {
    return is_turned(outputs, center) ? outputs.cols - 1 : outputs.cols;
}

// The unit rows of one model, transposed: [classes][stride] float64, and |a_i|^2 of each row.
class Classes {
  public:
    void make(const Matrix& outputs, Center center) {
        pack_.make(outputs, center);
        const std::int64_t n = outputs.rows;
        const bool turned = is_turned(outputs, center);
        count_ = classes_of(outputs, center);
        stride_ = pack_.stride();
        double* values = values_.at_least(count_ * stride_);
        double* squares = squares_.at_least(stride_);
        double* sum = sums_.at_least(stride_);  // of the first k + 1 coordinates
        std::fill_n(squares, stride_, 0.0);
        std::fill_n(sum, stride_, 0.0);
        for (std::int64_t k = 0; k < count_; ++k) {
            const float* column = pack_.column(k);
            const float* next = pack_.column(turned ? k + 1 : k);
            const double terms = static_cast<double>(k + 1);
            const double scale = turned ? 1.0 / std::sqrt(terms * (terms + 1.0)) : 1.0;
            double* row = values + k * stride_;
            for (std::int64_t i = 0; i < n; ++i) {
                sum[i] += static_cast<double>(column[i]);
                const double value = turned ? sum[i] - terms * static_cast<double>(next[i])
                                            : static_cast<double>(column[i]);
                row[i] = static_cast<double>(static_cast<float>(value * scale));
                squares[i] += row[i] * row[i];
            }
            std::fill(row + n, row + stride_, 0.0);
        }
    }

    std::int64_t count() const { return count_; }
    std::int64_t stride() const { return stride_; }
    const double* row(std::int64_t k) const { return values_.data() + k * stride_; }
    const double* squares() const { return squares_.data(); }

  private:
    std::int64_t count_ = 0, stride_ = 0;
    Pack pack_;
    Buffer<double> values_, squares_, sums_;
};

// <c, c'> from the sum over all ordered pairs, and that over i = j.
double over_pairs(double ordered, double same) { return (ordered - same) / 2; }

double inner_square(const double* x, std::int64_t n) {
    double sum = 0.0;
    double_tiles().products(x, 1, x, 1, n, n, &sum, 1);
    return sum;
}

// <c, c> of one model.
double own_square(const Classes& classes, std::vector<double>& sums) {
    const std::int64_t count = classes.count(), stride = classes.stride();
    sums.assign(static_cast<std::size_t>(count * count), 0.0);
    double_tiles().products(classes.row(0), count, classes.row(0), count, stride, stride,
                            sums.data(), count);
    return over_pairs(inner_square(sums.data(), count * count),
                      inner_square(classes.squares(), stride));
}

// The classes of all origins side by side, in panels, behind one class that is 1 on every probe.
class Panels {
  public:
    void make(const std::vector<Matrix>& origins, Center center) {
        n_ = origins[0].rows;
        first_ = {0, 1};
        Classes classes;
        for (const Matrix& origin : origins) {
            first_.push_back(first_.back() + classes_of(origin, center));
        }
        float* values = values_.at_least(panels() * n_ * class_panel);
        for (std::int64_t i = 0; i < n_; ++i) values[i * class_panel] = 1.0f;
        for (std::size_t k = 0; k < origins.size(); ++k) {
            classes.make(origins[k], center);
            if (k == 0) {
                stride_ = classes.stride();
                squares_.assign(static_cast<std::size_t>(models() * stride_), 0.0);
                std::fill_n(squares_.begin(), n_, 1.0);
            }
            std::copy_n(classes.squares(), stride_,
                        squares_.begin() + static_cast<std::ptrdiff_t>(k + 1) * stride_);
            for (std::int64_t c = 0; c < classes.count(); ++c) {
                const std::int64_t column = first_[k + 1] + c;
                float* to = values + column / class_panel * n_ * class_panel + column % class_panel;
                for (std::int64_t i = 0; i < n_; ++i) {
                    to[i * class_panel] = static_cast<float>(classes.row(c)[i]);
                }
            }
        }
    }

    std::int64_t models() const { return static_cast<std::int64_t>(first_.size()) - 1; }
    std::int64_t columns() const { return first_.back(); }
    std::int64_t panels() const { return (columns() + class_panel - 1) / class_panel; }
    const float* panel(std::int64_t p) const { return values_.data() + p * n_ * class_panel; }
    std::int64_t first(std::int64_t k) const { return first_[static_cast<std::size_t>(k)]; }
    const double* squares() const { return squares_.data(); }  // [models][stride of Classes]

  private:
    std::int64_t n_ = 0, stride_ = 0;
    std::vector<std::int64_t> first_;  // column of each model, and the end
    std::vector<double> squares_;
    Buffer<float> values_;  // [panels][n][class_panel]
};

struct Worker {
    CorrelationSegments segments;
    Classes classes;
    Buffer<float> rows;      // the unit rows of a group of models, [N][C] each
    Buffer<double> lengths;  // |a_i|^2 of each of their rows
    std::vector<float> scratch;
    std::vector<double> sums, squares, diagonal;
};

class Products {
  public:
    Products(const std::vector<Matrix>& models, const Matrix& rows,
             const std::vector<Matrix>& origins, Center center, double* products, double* squares)
        : models_(models), fixed_(rows), center_(center), products_(products), squares_(squares) {
        if (origins.empty()) return;
        columns_ = 1;
        for (const Matrix& origin : origins) columns_ += classes_of(origin, center);
        const auto chosen = [this](const Matrix& model) { return by_classes(model); };
        if (std::any_of(models.begin(), models.end(), chosen)) panels_.make(origins, center);
    }

    // Whether the products of a model take fewer operations class by class than pair by pair.
    bool by_classes(const Matrix& model) const {
        if (columns_ == 0) return false;  // no origins
        const double n = static_cast<double>(model.rows), pairs = n * (n - 1) / 2;
        return 2 * n * static_cast<double>(classes_of(model, center_)) *
                   static_cast<double>(columns_) <
               2 * pairs * static_cast<double>(model.cols + fixed_.count());
    }

    void pairs(std::int64_t first, std::int64_t count, Worker& worker) const {
        const std::int64_t columns = fixed_.count();
        double* products = products_ + first * columns;
        std::fill_n(products, count * columns, 0.0);
        std::fill_n(squares_ + first, count, 0.0);
        const auto add = [&](const Segment& segment) {
            for (std::int64_t p = 0; p < segment.size; p += strip) {
                const std::int64_t n = std::min(strip, segment.size - p);
                const std::int64_t padded = std::min(strip, segment.padded - p);
                const float* rows = segment.rows + p;
                for (std::int64_t m = 0; m < count; ++m) {
                    const float* row = rows + m * segment.stride;
                    row_tiles().products(row, 0, 1, row, 0, 1, padded, squares_ + first + m, 1);
                }
                fixed_.pieces(segment.first + p, n, worker.scratch,
                              [&](const float* data, std::int64_t stride, std::int64_t row,
                                  std::int64_t rows_b, std::int64_t offset, std::int64_t size) {
                                  row_tiles().products(rows + offset, segment.stride, count, data,
                                                       stride, rows_b, size, products + row,
                                                       columns);
                              });
            }
        };
        const CorrelationKind kind{center_, Kernel::cosine, 0.0};
        const std::int64_t left = static_cast<std::int64_t>(models_.size()) - first - count;
        worker.segments.run(&models_[static_cast<std::size_t>(first)], count, std::min(count, left),
                            kind, most_pairs, add);
    }

    void classes(std::int64_t first, std::int64_t count, Worker& worker) const {
        const std::int64_t n = models_[0].rows, columns = fixed_.count();
        const std::int64_t padded = panels_.panels() * class_panel;
        std::int64_t size = 0;
        for (std::int64_t m = 0; m < count; ++m) size += n * classes_of(model(first + m), center_);
        float* rows = worker.rows.at_least(size);
        worker.squares.assign(static_cast<std::size_t>(count * padded), 0.0);
        worker.diagonal.assign(static_cast<std::size_t>(count * columns), 0.0);

        float* to = rows;
        for (std::int64_t m = 0; m < count; ++m) {
            Classes& classes = worker.classes;
            classes.make(model(first + m), center_);
            for (std::int64_t c = 0; c < classes.count(); ++c) {
                for (std::int64_t i = 0; i < n; ++i) {
                    to[i * classes.count() + c] = static_cast<float>(classes.row(c)[i]);
                }
            }
            to += n * classes.count();
            squares_[first + m] = own_square(classes, worker.sums);
            const std::int64_t stride = classes.stride();
            double* lengths = worker.lengths.at_least(count * stride);
            std::copy_n(classes.squares(), stride, lengths + m * stride);
        }
        const std::int64_t stride = worker.classes.stride();
        double_tiles().products(worker.lengths.data(), count, panels_.squares(), columns, stride,
                                stride, worker.diagonal.data(), columns);
        for (std::int64_t p = 0; p < panels_.panels(); ++p) {
            const float* from = rows;
            for (std::int64_t m = 0; m < count; ++m) {
                const std::int64_t classes = classes_of(model(first + m), center_);
                class_tiles().add_squares(from, classes, panels_.panel(p), n,
                                          worker.squares.data() + m * padded + p * class_panel);
                from += n * classes;
            }
        }
        for (std::int64_t m = 0; m < count; ++m) {
            const double* squares = worker.squares.data() + m * padded;
            for (std::int64_t k = 0; k < columns; ++k) {
                double ordered = 0.0;
                for (std::int64_t j = panels_.first(k); j < panels_.first(k + 1); ++j) {
                    ordered += squares[j];
                }
                products_[(first + m) * columns + k] =
                    over_pairs(ordered, worker.diagonal[static_cast<std::size_t>(m * columns + k)]);
            }
        }
    }

  private:
    const Matrix& model(std::int64_t s) const { return models_[static_cast<std::size_t>(s)]; }

    const std::vector<Matrix>& models_;
    FixedRows fixed_;
    Center center_;
    std::int64_t columns_ = 0;  // classes of all origins, and that of the ones
    Panels panels_;             // where any model is done class by class
    double* products_;
    double* squares_;
};

// Models of one task, all done in the same way: [first, first + count).
struct Group {
    std::int64_t first, count;
    bool by_classes;
};

}  // namespace

void correlation_products(const std::vector<Matrix>& models, const Matrix& rows,
                          const std::vector<Matrix>& origins, Center center, int threads,
                          double* products, double* squares) {
    if (models.empty()) return;
    const Products all(models, rows, origins, center, products, squares);
    const std::int64_t n = models[0].rows;
    const std::int64_t most =
        std::min(most_models, (static_cast<std::int64_t>(models.size()) + threads - 1) / threads);
    std::vector<Group> groups;
    double left = 0;  // bytes that the last group still has room for
    for (std::int64_t s = 0; s < static_cast<std::int64_t>(models.size()); ++s) {
        const Matrix& model = models[static_cast<std::size_t>(s)];
        const bool way = all.by_classes(model);
        const double pack = static_cast<double>(n) * static_cast<double>(model.cols);
        const std::int64_t piece = std::min(rows.cols, most_pairs + pair_chunk + row_strip * n);
        const double cost = 4 * (way ? pack : pack + static_cast<double>(piece));
        if (groups.empty() || groups.back().by_classes != way || groups.back().count == most ||
            left < cost) {
            groups.push_back({s, 0, way});
            left = way ? class_bytes : group_bytes;
        }
        ++groups.back().count;
        left -= cost;
    }
    std::vector<Worker> own(workers(static_cast<std::int64_t>(groups.size()), threads));
    parallel_for(static_cast<std::int64_t>(groups.size()), threads,
                 [&](std::int64_t task, std::size_t worker) {
                     const Group& group = groups[static_cast<std::size_t>(task)];
                     if (group.by_classes) {
                         all.classes(group.first, group.count, own[worker]);
                     } else {
                         all.pairs(group.first, group.count, own[worker]);
                     }
                 });
}

}  // namespace sacfast
