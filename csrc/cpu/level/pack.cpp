#include "cpu/level/pack.h"

#include "cpu/level/vector.h"

namespace sacfast {
namespace SACFAST_LEVEL {
namespace {

constexpr int lanes = Floats::size;
constexpr int parts = static_cast<int>(group) / lanes;  // vectors in a group

SACFAST_INLINE void transpose_square(const float* rows, std::int64_t row_stride, int count,
                                     int classes, float* raw, std::int64_t stride) {
    Floats x[lanes];
    if (count == lanes && classes == lanes) {
#pragma GCC unroll 16
        for (int i = 0; i < lanes; ++i) x[i] = load(rows + i * row_stride);
    } else {
#pragma GCC unroll 16
        for (int i = 0; i < lanes; ++i) {
            x[i] = i < count ? load_first(rows + i * row_stride, classes) : all(0.0f);
        }
    }
    transpose(x);
    if (classes == lanes) {
#pragma GCC unroll 16
        for (int k = 0; k < lanes; ++k) store(raw + k * stride, x[k]);
    } else {
#pragma GCC unroll 16
        for (int k = 0; k < lanes; ++k) {
            if (k < classes) store(raw + k * stride, x[k]);
        }
    }
}

void transposed(const float* rows, std::int64_t row_stride, std::int64_t count,
                std::int64_t classes, float* raw, std::int64_t stride) {
    for (std::int64_t i = 0; i < group; i += lanes) {
        const std::int64_t left = count - i;
        const int some = left < 0 ? 0 : left < lanes ? static_cast<int>(left) : lanes;
        for (std::int64_t k = 0; k < classes; k += lanes) {
            const int width = classes - k < lanes ? static_cast<int>(classes - k) : lanes;
            transpose_square(rows + i * row_stride + k, row_stride, some, width,
                             raw + k * stride + i, stride);
        }
    }
}

// float64 is rare: a plain loop.
void transposed(const double* rows, std::int64_t row_stride, std::int64_t count,
                std::int64_t classes, double* raw, std::int64_t stride) {
    for (std::int64_t k = 0; k < classes; ++k) {
        for (std::int64_t i = 0; i < group; ++i) {
            raw[k * stride + i] = i < count ? rows[i * row_stride + k] : 0.0;
        }
    }
}

template <typename T>
void row_means(const T* raw, std::int64_t stride, std::int64_t classes, double* mean,
               double* largest) {
    const double count = static_cast<double>(classes);
    for (int part = 0; part < parts; ++part) {
        const T* x = raw + part * lanes;
        Doubles sum = all(0.0), most = all(0.0);
        for (std::int64_t k = 0; k < classes; ++k) {
            const Doubles value = load_wide(x + k * stride);
            sum = add(sum, value);
            most = max(most, abs(value));
        }
        Doubles average = div(sum, all(count));
        if (sizeof(T) == sizeof(double)) {
            Doubles rest = all(0.0);
            for (std::int64_t k = 0; k < classes; ++k) {
                rest = add(rest, sub(load_wide(x + k * stride), average));
            }
            average = add(average, div(rest, all(count)));
        }
        store(mean + part * lanes, average);
        store(largest + part * lanes, most);
    }
}

// The sum over all groups of class `x`, less the rows' means and, behind the last row, less 0.
template <typename T>
SACFAST_INLINE double class_sum(const T* x, std::int64_t rows, const double* row_mean,
                                double less) {
    Doubles sum[parts];
    for (int part = 0; part < parts; ++part) sum[part] = all(0.0);
    const Doubles shift = all(less);
    for (std::int64_t i = 0; i < rows; i += group) {
#pragma GCC unroll 4
        for (int part = 0; part < parts; ++part) {
            const std::int64_t at = i + part * lanes;
            const Doubles value = sub(load_wide(x + at), load(row_mean + at));
            sum[part] = add(sum[part], sub(value, shift));
        }
    }
    double total[group];
    for (int part = 0; part < parts; ++part) store(total + part * lanes, sum[part]);
    for (int half = static_cast<int>(group) / 2; half > 0; half /= 2) {
        for (int l = 0; l < half; ++l) total[l] += total[l + half];
    }
    return total[0];
}

template <typename T>
void class_means(const T* raw, std::int64_t stride, std::int64_t classes, std::int64_t rows,
                 const double* row_mean, double* mean) {
    const double count = static_cast<double>(rows);
    // Behind the last row stand zeros; `padding` of them lose what the second pass subtracts.
    const double padding = static_cast<double>((group - rows % group) % group);
    // Of float32 a lane adds few enough values that one pass is exact to a bit or two.
    const bool again = sizeof(T) == sizeof(double) || rows > 64 * group;
    for (std::int64_t k = 0; k < classes; ++k) {
        const T* x = raw + k * stride;
        mean[k] = class_sum(x, rows, row_mean, 0.0) / count;
        if (again) {
            const double rest = class_sum(x, rows, row_mean, mean[k]) + padding * mean[k];
            mean[k] += rest / count;
        }
    }
}

// The power of two below each of a group's values, inverted; 0 for what isn't finite.
void inverse_powers(const double* values, double* powers) {
    for (std::int64_t l = 0; l < group; ++l) {
        std::uint64_t bits;
        __builtin_memcpy(&bits, values + l, sizeof bits);
        const std::uint64_t least = 1ull << 52;  // of the normal numbers
        bits &= 0x7ffull << 52;
        bits = bits < least ? least : bits;
        double power;
        __builtin_memcpy(&power, &bits, sizeof power);
        powers[l] = 1.0 / power;
    }
}

template <typename T, bool centre_rows, bool centre_classes>
struct Residual {
    const T* raw;
    std::int64_t stride;
    const double* class_mean;
    Doubles row_mean;

    SACFAST_INLINE Doubles at(std::int64_t k) const {
        Doubles y = load_wide(raw + k * stride);
        if (centre_rows) y = sub(y, row_mean);
        if (centre_classes) y = sub(y, all(class_mean[k]));
        return y;
    }
};

template <typename T, bool centre_rows, bool centre_classes>
void normalise_group(const T* raw, std::int64_t stride, std::int64_t classes,
                     const double* row_mean, const double* class_mean, const double* residue,
                     float* pack) {
    constexpr bool scaled = sizeof(T) == sizeof(double);  // squares of float32 fit a float64
    double power[group], inverse[group];
    const auto residual = [&](int part) {
        return Residual<T, centre_rows, centre_classes>{
            raw + part * lanes, stride, class_mean,
            centre_rows ? load(row_mean + part * lanes) : all(0.0)};
    };
    if (scaled) {
        for (int part = 0; part < parts; ++part) {
            const auto y = residual(part);
            Doubles most = all(0.0);
            for (std::int64_t k = 0; k < classes; ++k) most = max(most, abs(y.at(k)));
            store(inverse + part * lanes, most);
        }
        inverse_powers(inverse, power);
    }
    for (int part = 0; part < parts; ++part) {
        const auto y = residual(part);
        const Doubles factor = scaled ? load(power + part * lanes) : all(1.0);
        Doubles squares = all(0.0);
        for (std::int64_t k = 0; k < classes; ++k) {
            const Doubles value = scaled ? mul(y.at(k), factor) : y.at(k);
            squares = fma(value, value, squares);
        }
        store(inverse + part * lanes, squares);
    }
    for (std::int64_t l = 0; l < group; ++l) {
        const double squares = inverse[l], length = __builtin_sqrt(squares);
        const double least = scaled ? residue[l] * power[l] : residue[l];
        // The last term is 0, or NaN where the squares are infinite.
        inverse[l] = (length <= least ? 0.0 : 1.0 / length) + (squares - squares);
    }
    for (int part = 0; part < parts; ++part) {
        const auto y = residual(part);
        const Doubles factor = scaled ? load(power + part * lanes) : all(1.0);
        const Doubles unit = load(inverse + part * lanes);
        float* out = pack + part * lanes;
        for (std::int64_t k = 0; k < classes; ++k) {
            const Doubles value = scaled ? mul(y.at(k), factor) : y.at(k);
            store(out + k * stride, narrow(mul(value, unit)));
        }
    }
}

template <typename T>
void normalise(const T* raw, std::int64_t stride, std::int64_t classes, const double* row_mean,
               const double* class_mean, const double* residue, float* pack) {
    if (class_mean) {
        normalise_group<T, true, true>(raw, stride, classes, row_mean, class_mean, residue, pack);
    } else if (row_mean) {
        normalise_group<T, true, false>(raw, stride, classes, row_mean, class_mean, residue, pack);
    } else {
        normalise_group<T, false, false>(raw, stride, classes, row_mean, class_mean, residue, pack);
    }
}

}  // namespace

extern const Packing<float> packing = {transposed, row_means<float>, class_means<float>,
                                       normalise<float>};
extern const Packing<double> packing_of_doubles = {transposed, row_means<double>,
                                                   class_means<double>, normalise<double>};

}  // namespace SACFAST_LEVEL
}  // namespace sacfast
