#include "cpu/correlation_products.h"

#include <algorithm>

#include "cpu/buffer.h"
#include "cpu/correlation_segments.h"
#include "cpu/fixed_rows.h"
#include "cpu/level/double_tiles.h"
#include "cpu/level/row_tiles.h"
#include "cpu/parallel.h"

namespace sacfast {
namespace {

constexpr std::int64_t most_models = 64;        // that share one pass over the fixed rows
constexpr std::int64_t group_bytes = 16 << 20;  // their packs and a piece of their correlations
constexpr std::int64_t most_pairs = 1 << 16;    // of such a piece
constexpr std::int64_t strip = 2 * pair_chunk;  // 64 models' and 120 rows' share: 1.5 MB of cache
constexpr std::int64_t class_rows = 48;         // rows of A^T or B^T that are multiplied at a time

// Unit rows of several models, transposed and stacked: a row holds one class over all probes.
class Classes {
  public:
    // `ones`: before them one class that is 1 on every probe.
    void make(const Matrix* models, std::int64_t count, Center center, bool ones) {
        const std::int64_t n = models[0].rows;
        stride_ = (n + 15) / 8 * 8 | 8;  // an odd number of cache lines
        first_.assign(1, 0);
        if (ones) first_.push_back(1);
        for (std::int64_t m = 0; m < count; ++m) first_.push_back(first_.back() + models[m].cols);
        double* values = values_.at_least(size() * stride_);
        double* squares = squares_.at_least(models_() * stride_);
        std::fill_n(values, size() * stride_, 0.0);
        std::fill_n(squares, models_() * stride_, 0.0);
        if (ones) {
            std::fill_n(values, n, 1.0);
            std::fill_n(squares, n, 1.0);
            values += stride_;
            squares += stride_;
        }
        for (std::int64_t m = 0; m < count; ++m) {
            pack_.make(models[m], center);
            for (std::int64_t c = 0; c < models[m].cols; ++c) {
                const float* column = pack_.column(c);
                for (std::int64_t i = 0; i < n; ++i) {
                    values[i] = static_cast<double>(column[i]);
                    squares[i] += values[i] * values[i];
                }
                values += stride_;
            }
            squares += stride_;
        }
    }

    bool empty() const { return first_.size() == 1; }
    std::int64_t stride() const { return stride_; }
    std::int64_t size() const { return first_.back(); }  // classes of all models
    std::int64_t first(std::int64_t m) const { return first_[static_cast<std::size_t>(m)]; }
    std::int64_t classes(std::int64_t m) const { return first(m + 1) - first(m); }
    const double* values(std::int64_t m) const { return values_.data() + first(m) * stride_; }
    // |a_i|^2 of each row of a model: 1, or 0 for a zero row.
    const double* squares(std::int64_t m) const { return squares_.data() + m * stride_; }

  private:
    std::int64_t models_() const { return static_cast<std::int64_t>(first_.size()) - 1; }

    std::int64_t stride_ = 0;
    Buffer<double> values_;               // [size][stride]
    Buffer<double> squares_;              // [models][stride]
    std::vector<std::int64_t> first_{0};  // row of each model, and the end
    Pack pack_;
};

// sums[i][j] = <row i of a, row j of b>, b in blocks that stay in the cache for all rows of a.
void multiply(const double* a, std::int64_t rows_a, const double* b, std::int64_t rows_b,
              std::int64_t stride, std::vector<double>& sums) {
    sums.assign(static_cast<std::size_t>(rows_a * rows_b), 0.0);
    for (std::int64_t j = 0; j < rows_b; j += class_rows) {
        double_tiles().products(a, rows_a, b + j * stride, std::min(class_rows, rows_b - j), stride,
                                stride, sums.data() + j, rows_b);
    }
}

// The sum of squares of a block of a matrix with rows of `stride`.
double squared(const double* block, std::int64_t rows, std::int64_t cols, std::int64_t stride) {
    double sum = 0.0;
    for (std::int64_t i = 0; i < rows; ++i) {
        for (std::int64_t j = 0; j < cols; ++j) {
            sum += block[i * stride + j] * block[i * stride + j];
        }
    }
    return sum;
}

struct Worker {
    CorrelationSegments segments;
    Classes classes;
    std::vector<float> scratch;
    std::vector<double> sums, diagonal;
};

class Products {
  public:
    Products(const std::vector<Matrix>& models, const Matrix& rows,
             const std::vector<Matrix>& origins, Center center, double* products, double* squares)
        : models_(models), fixed_(rows), center_(center), products_(products), squares_(squares) {
        if (origins.empty()) return;
        origins_.make(origins.data(), static_cast<std::int64_t>(origins.size()), center, true);
    }

    // Whether the products of a model take fewer operations class by class than pair by pair.
    bool by_classes(const Matrix& model) const {
        if (origins_.empty()) return false;
        const double n = static_cast<double>(model.rows), c = static_cast<double>(model.cols);
        const double pairs = n * (n - 1) / 2;
        return 4 * n * c * static_cast<double>(origins_.size()) <
               n * n * c + 2 * pairs * static_cast<double>(fixed_.count());
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
        worker.segments.run(&models_[static_cast<std::size_t>(first)], count, kind, most_pairs,
                            add);
    }

    void classes(std::int64_t first, std::int64_t count, Worker& worker) const {
        const std::int64_t columns = fixed_.count(), stride = origins_.stride();
        Classes& own = worker.classes;
        own.make(&models_[static_cast<std::size_t>(first)], count, center_, false);
        multiply(own.squares(0), count, origins_.squares(0), columns, stride, worker.diagonal);
        multiply(own.values(0), own.size(), origins_.values(0), origins_.size(), stride,
                 worker.sums);
        for (std::int64_t m = 0; m < count; ++m) {
            for (std::int64_t k = 0; k < columns; ++k) {
                const double* block =
                    worker.sums.data() + own.first(m) * origins_.size() + origins_.first(k);
                const double ordered =
                    squared(block, own.classes(m), origins_.classes(k), origins_.size());
                const double same = worker.diagonal[static_cast<std::size_t>(m * columns + k)];
                products_[(first + m) * columns + k] = (ordered - same) / 2;
            }
        }
        for (std::int64_t m = 0; m < count; ++m) {
            const std::int64_t classes = own.classes(m);
            multiply(own.squares(m), 1, own.squares(m), 1, stride, worker.diagonal);
            multiply(own.values(m), classes, own.values(m), classes, stride, worker.sums);
            const double ordered = squared(worker.sums.data(), classes, classes, classes);
            squares_[first + m] = (ordered - worker.diagonal[0]) / 2;
        }
    }

  private:
    const std::vector<Matrix>& models_;
    FixedRows fixed_;
    Center center_;
    Classes origins_;
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
    std::int64_t left = 0;  // bytes or classes that the last group still has room for
    for (std::int64_t s = 0; s < static_cast<std::int64_t>(models.size()); ++s) {
        const Matrix& model = models[static_cast<std::size_t>(s)];
        const bool way = all.by_classes(model);
        const std::int64_t cost =
            way ? model.cols
                : 4 * (n * model.cols + std::min(rows.cols, most_pairs + pair_chunk + 8 * n));
        if (groups.empty() || groups.back().by_classes != way || groups.back().count == most ||
            left < cost) {
            groups.push_back({s, 0, way});
            left = way ? class_rows : group_bytes;
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
