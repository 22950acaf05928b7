#include "cpu/level/convert.h"

#include "cpu/level/words.h"

namespace sacfast {
namespace SACFAST_LEVEL {
namespace {

constexpr int lanes = Floats::size;

// How a vector of one type is read: as float32, or as float64.
struct Half {
    using Element = std::uint16_t;
    static SACFAST_INLINE Floats read(const Element* p, float*) { return load_half(p); }
    static SACFAST_INLINE Doubles read(const Element* p, double*) { return widen(load_half(p)); }
};
struct BFloat {
    using Element = std::uint16_t;
    static SACFAST_INLINE Floats read(const Element* p, float*) { return load_bfloat(p); }
    static SACFAST_INLINE Doubles read(const Element* p, double*) { return widen(load_bfloat(p)); }
};
struct Single {
    using Element = float;
    static SACFAST_INLINE Doubles read(const Element* p, double*) { return widen(load(p)); }
};
struct Double {
    using Element = double;
    static SACFAST_INLINE Floats read(const Element* p, float*) { return narrow(load(p)); }
};

// The vector at `in`, through an array that is aligned as its type demands: the copy is one load.
template <typename From, typename To>
SACFAST_INLINE void convert_vector(const std::byte* in, std::int64_t elements, To* out) {
    typename From::Element aligned[lanes] = {};
    __builtin_memcpy(aligned, in, static_cast<std::size_t>(elements) * sizeof aligned[0]);
    store(out, From::read(aligned, out));
}

template <typename From, typename To>
void run(const std::byte* in, std::int64_t n, To* out) {
    constexpr std::int64_t item = sizeof(typename From::Element);
    std::int64_t i = 0;
    for (; i + lanes <= n; i += lanes) convert_vector<From>(in + i * item, lanes, out + i);
    if (i == n) return;
    To last[lanes];
    convert_vector<From>(in + i * item, n - i, last);
    __builtin_memcpy(out + i, last, static_cast<std::size_t>(n - i) * sizeof(To));
}

}  // namespace

extern const Convert convert = {run<Half>,   run<Half>,   run<BFloat>,
                                run<BFloat>, run<Single>, run<Double>};

}  // namespace SACFAST_LEVEL
}  // namespace sacfast
