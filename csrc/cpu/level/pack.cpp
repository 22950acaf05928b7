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

// The sum of the values that `at(k)` gives, the even ones beside the odd ones: one chain of
// additions would wait for each before the next.
template <typename Value>
SACFAST_INLINE Doubles sum_of(std::int64_t n, const Value& at) {
    Doubles even = all(0.0), odd = all(0.0);
    std::int64_t k = 0;
    for (; k + 2 <= n; k += 2) {
        even = add(even, at(k));
        odd = add(odd, at(k + 1));
    }
    if (k < n) even = add(even, at(k));
    return add(even, odd);
}

template <typename Value>
SACFAST_INLINE Doubles squares_of(std::int64_t n, const Value& at) {
    Doubles even = all(0.0), odd = all(0.0);
    std::int64_t k = 0;
    for (; k + 2 <= n; k += 2) {
        const Doubles x = at(k), y = at(k + 1);
        even = fma(x, x, even);
        odd = fma(y, y, odd);
    }
    if (k < n) even = fma(at(k), at(k), even);
    return add(even, odd);
}

template <typename T>
void row_means(const T* raw, std::int64_t stride, std::int64_t rows, std::int64_t classes,
               double* mean) {
    const Doubles count = all(static_cast<double>(classes));
    for (std::int64_t i = 0; i < rows; i += lanes) {
        const T* x = raw + i;
        const auto value = [&](std::int64_t k) { return load_wide(x + k * stride); };
        Doubles average = div(sum_of(classes, value), count);
        if (sizeof(T) == sizeof(double)) {
            const auto rest = [&](std::int64_t k) { return sub(value(k), average); };
            average = add(average, div(sum_of(classes, rest), count));
        }
        store(mean + i, average);
    }
}

// The sum over all rows of class `x`, less the rows' means, and less `shift` where it is given.
template <bool shifted, typename T>
SACFAST_INLINE double class_sum(const T* x, std::int64_t rows, const double* row_mean,
                                double shift) {
    Doubles sum[parts];
    for (int part = 0; part < parts; ++part) sum[part] = all(0.0);
    for (std::int64_t i = 0; i < rows; i += group) {
#pragma GCC unroll 4
        for (int part = 0; part < parts; ++part) {
            const std::int64_t at = i + part * lanes;
            Doubles value = sub(load_wide(x + at), load(row_mean + at));
            if (shifted) value = sub(value, all(shift));
            sum[part] = add(sum[part], value);
        }
    }
    for (int half = parts / 2; half > 0; half /= 2) {
        for (int part = 0; part < half; ++part) sum[part] = add(sum[part], sum[part + half]);
    }
    return lane_sum(sum[0]);
}

template <typename T>
void class_means(const T* raw, std::int64_t stride, std::int64_t rows, std::int64_t classes,
                 const double* row_mean, double* mean) {
    const double count = static_cast<double>(rows);
    // Behind the last row stand zeros; `padding` of them lose what the second pass subtracts.
    const double padding = static_cast<double>((group - rows % group) % group);
    // Of float32 a lane adds few enough values that one pass is exact to a bit or two.
    const bool again = sizeof(T) == sizeof(double) || rows > 64 * group;
    for (std::int64_t k = 0; k < classes; ++k) {
        const T* x = raw + k * stride;
        mean[k] = class_sum<false>(x, rows, row_mean, 0.0) / count;
        if (again) {
            const double rest = class_sum<true>(x, rows, row_mean, mean[k]) + padding * mean[k];
            mean[k] += rest / count;
        }
    }
}

double with_exponent(std::uint64_t exponent) {
    const std::uint64_t bits = exponent << 52;
    double power;
    __builtin_memcpy(&power, &bits, sizeof power);
    return power;
}

std::uint64_t exponent_of(double x) {
    std::uint64_t bits;
    __builtin_memcpy(&bits, &x, sizeof bits);
    return bits >> 52 & 0x7ff;
}

// The power of two below a value, inverted; 0 for what isn't finite.
double inverse_power(double x) {
    const std::uint64_t exponent = exponent_of(x);
    return 1.0 / with_exponent(exponent == 0 ? 1 : exponent);
}

// 1 / length; 0 where the length is at most `least`; NaN where it isn't finite. Square roots and
// quotients in float64 would take longer than all the rest of a row of ten classes: hence those of
// float32, of the squares brought to 1 .. 4 by a power of 4, and one step of Newton's method, which
// squares their error of 1e-7.
SACFAST_INLINE double inverse_length(double squares, double least) {
    const std::uint64_t half = (exponent_of(squares) + 1) >> 1;
    const double x = squares * with_exponent(2047 - 2 * half);
    const double root = static_cast<double>(1.0f / __builtin_sqrtf(static_cast<float>(x)));
    const double better = root * (1.5 - 0.5 * x * root * root) * with_exponent(1535 - half);
    return (squares <= least * least ? 0.0 : better) + (squares - squares);
}

// raw, less the means that are given.
template <typename T, bool centre_rows, bool centre_classes>
struct Residual {
    const T* raw;
    std::int64_t stride;
    const double* class_mean;
    Doubles row_mean;

    SACFAST_INLINE Doubles operator()(std::int64_t k) const {
        Doubles y = load_wide(raw + k * stride);
        if (centre_rows) y = sub(y, row_mean);
        if (centre_classes) y = sub(y, all(class_mean[k]));
        return y;
    }
};

// A factor of float64 for each row of a group as three of float32: a power of two, which brings the
// row to about 1, and the rest as a sum. x times them, (x power) high + (x power) low, is rounded
// once but for 2^-48, by three instructions for a whole register.
struct Factors {
    float power[group], high[group], low[group];

    explicit Factors(const double* values) {
        for (std::int64_t l = 0; l < group; ++l) {
            std::uint64_t exponent = exponent_of(values[l]);
            exponent = exponent < 1023 - 126 ? 1023 - 126 : exponent;
            exponent = exponent > 1023 + 126 ? 1023 + 126 : exponent;
            const double rest = values[l] * with_exponent(2046 - exponent);
            power[l] = static_cast<float>(with_exponent(exponent));
            high[l] = static_cast<float>(rest);
            low[l] = static_cast<float>(rest - static_cast<double>(high[l]));
        }
    }
};

void scale_group(const float* raw, std::int64_t stride, std::int64_t classes, const double* unit,
                 float* pack) {
    const Factors factors(unit);
    for (int i = 0; i < group; i += lanes) {
        const Floats power = load(factors.power + i);
        const Floats high = load(factors.high + i), low = load(factors.low + i);
        const Doubles exactly = load(unit + i);
        for (std::int64_t k = 0; k < classes; ++k) {
            const Floats x = load(raw + k * stride + i), y = mul(x, power);
            store(pack + k * stride + i,
                  fused ? fma(y, high, mul(y, low)) : narrow(mul(widen(x), exactly)));
        }
    }
}

template <typename T, bool centre_rows, bool centre_classes>
void normalise_rows(const T* raw, std::int64_t stride, std::int64_t rows, std::int64_t classes,
                    const double* row_mean, const double* class_mean, double residue,
                    double class_size, double* scratch, float* pack) {
    constexpr bool wide = sizeof(T) == sizeof(double);  // squares of float32 fit a float64
    double* inverse = scratch;
    double* power = scratch + stride;
    const auto residual = [&](std::int64_t i) {
        return Residual<T, centre_rows, centre_classes>{
            raw + i, stride, class_mean, centre_rows ? load(row_mean + i) : all(0.0)};
    };
    const std::int64_t padded = (rows + group - 1) / group * group;
    for (std::int64_t i = 0; i < padded && wide; i += lanes) {
        const auto y = residual(i);
        Doubles largest = all(0.0);
        for (std::int64_t k = 0; k < classes; ++k) largest = max(largest, abs(y(k)));
        store(power + i, largest);
        for (std::int64_t l = i; l < i + lanes; ++l) power[l] = inverse_power(power[l]);
    }
    for (std::int64_t i = 0; i < padded; i += lanes) {
        const auto y = residual(i);
        const Doubles factor = wide ? load(power + i) : all(1.0);
        const auto value = [&](std::int64_t k) { return wide ? mul(y(k), factor) : y(k); };
        store(inverse + i, squares_of(classes, value));
    }
    // All rows at once: one after the other they would wait for each step of the last one.
    for (std::int64_t l = 0; l < padded; ++l) {
        double least = centre_rows ? residue * (__builtin_fabs(row_mean[l]) + class_size) : 0.0;
        if (wide) least *= power[l];
        inverse[l] = inverse_length(inverse[l], least);
    }
    if constexpr (!wide && !centre_rows) {
        for (std::int64_t i = 0; i < padded; i += group) {
            scale_group(raw + i, stride, classes, inverse + i, pack + i);
        }
        return;
    }
    for (std::int64_t i = 0; i < padded; i += lanes) {
        const Doubles unit = load(inverse + i);
        if (wide) {
            const auto y = residual(i);
            const Doubles factor = load(power + i);
            for (std::int64_t k = 0; k < classes; ++k) {
                store(pack + k * stride + i, narrow(mul(mul(y(k), factor), unit)));
            }
        } else {
            // (x - row mean - class mean) / length, all three over the length first.
            const Doubles shift = mul(load(row_mean + i), unit);
            for (std::int64_t k = 0; k < classes; ++k) {
                const Doubles mean = centre_classes ? fma(all(class_mean[k]), unit, shift) : shift;
                store(pack + k * stride + i,
                      narrow(fms(load_wide(raw + k * stride + i), unit, mean)));
            }
        }
    }
}

template <typename T>
void normalise(const T* raw, std::int64_t stride, std::int64_t rows, std::int64_t classes,
               const double* row_mean, const double* class_mean, double residue, double class_size,
               double* scratch, float* pack) {
    if (class_mean) {
        normalise_rows<T, true, true>(raw, stride, rows, classes, row_mean, class_mean, residue,
                                      class_size, scratch, pack);
    } else if (row_mean) {
        normalise_rows<T, true, false>(raw, stride, rows, classes, row_mean, class_mean, residue,
                                       class_size, scratch, pack);
    } else {
        normalise_rows<T, false, false>(raw, stride, rows, classes, row_mean, class_mean, residue,
                                        class_size, scratch, pack);
    }
}

}  // namespace

extern const Packing<float> packing = {transposed, row_means<float>, class_means<float>,
                                       normalise<float>};
extern const Packing<double> packing_of_doubles = {transposed, row_means<double>,
                                                   class_means<double>, normalise<double>};

}  // namespace SACFAST_LEVEL
}  // namespace sacfast
