#include "cpu/level/labels.h"

#include "cpu/level/words.h"

namespace sacfast {
namespace SACFAST_LEVEL {
namespace {

constexpr std::int64_t lanes = Floats::size;
constexpr std::int64_t piece = 2048;  // pairs of one row written at a time: 8 KB
constexpr std::int64_t words_a_line = pairs_a_line / 64;
constexpr std::uintptr_t line = 64;  // bytes of the cache

// Pairs on their way to the result: put together in the L1 cache, written in whole cache lines.
struct Pending {
    alignas(line) float pairs[2 * piece + lanes];
    std::int64_t filled = 0;
    float* out;
    std::int64_t head;  // up to the end of the first cache line the result is written alone
    bool past_caches;

    Pending(float* result, bool past)
        : out(result),
          head(static_cast<std::int64_t>(-reinterpret_cast<std::uintptr_t>(result) % line /
                                         sizeof(float))),
          past_caches(past) {}

    // Writes all but the last few, fewer than `lanes`.
    void flush() {
        head = smaller(head, filled);
        __builtin_memcpy(out, pairs, static_cast<std::size_t>(head) * sizeof(float));
        const std::int64_t end = head + (filled - head) / lanes * lanes;
        if (past_caches) {
            for (std::int64_t k = head; k < end; k += lanes) stream(out + k, load(pairs + k));
        } else {
            for (std::int64_t k = head; k < end; k += lanes) store(out + k, load(pairs + k));
        }
        store(pairs, load(pairs + end));
        out += end;
        filled -= end;
        head = 0;
    }
};

void triangle(const std::int32_t* codes, std::int64_t n, bool past_caches, float* out) {
    Pending pending(out, past_caches);
    for (std::int64_t i = 0; i + 1 < n; ++i) {
        const Codes own = all_codes(codes[i]);
        for (std::int64_t first = i + 1; first < n; first += piece) {
            const std::int64_t size = smaller(piece, n - first);
            float* pairs = pending.pairs + pending.filled;
            for (std::int64_t j = 0; j < size; j += lanes) {
                store(pairs + j, ones_where_equal(own, load_codes(codes + first + j)));
            }
            pending.filled += size;
            if (pending.filled >= piece) pending.flush();
        }
    }
    pending.flush();
    __builtin_memcpy(pending.out, pending.pairs,
                     static_cast<std::size_t>(pending.filled) * sizeof(float));
    if (past_caches) stream_end();
}

void bits(const std::int32_t* codes, std::int64_t n, PairBits* lines) {
    std::uint64_t* out = lines->word;
    std::uint64_t word = 0;
    std::int64_t filled = 0;  // bits of `word`
    std::int64_t words = 0;
    for (std::int64_t i = 0; i + 1 < n; ++i) {
        const Codes own = all_codes(codes[i]);
        for (std::int64_t first = i + 1; first < n; first += 64) {
            const std::int64_t size = smaller(64, n - first);
            std::uint64_t equal = 0;
            for (std::int64_t j = 0; j < size; j += lanes) {
                equal |= bits_where_equal(own, load_codes(codes + first + j)) << j;
            }
            if (size < 64) equal &= (std::uint64_t{1} << size) - 1;
            word |= equal << filled;
            if (filled + size >= 64) {
                out[words++] = word;
                word = filled == 0 ? 0 : equal >> (64 - filled);
            }
            filled = (filled + size) % 64;
        }
    }
    if (filled > 0) out[words++] = word;
    while (words % words_a_line != 0) out[words++] = 0;
}

// Adds two vectors to a digit of the counts; what it can't hold goes to the next digit.
SACFAST_INLINE Words carry_over(Words& digit, Words a, Words b) {
    const Words carried = carry_digit(digit, a, b);
    digit = sum_digit(digit, a, b);
    return carried;
}

std::int64_t differences(const PairBits* a, const PairBits* b, std::int64_t length) {
    constexpr std::int64_t step = Words::size;
    const std::uint64_t *left = a->word, *right = b->word;
    const std::int64_t words = length * words_a_line;
    Words ones = no_bits(), twos = no_bits(), fours = no_bits(), eights = no_bits();
    std::int64_t w = 0;
    const auto next = [&] {
        const Words x = differing(load(left + w), load(right + w));
        w += step;
        return x;
    };
    while (w + 8 * step <= words) {
        Words two[2], four[2];
        for (Words& f : four) {
            for (Words& t : two) {
                const Words x = next(), y = next();
                t = carry_over(ones, x, y);
            }
            f = carry_over(twos, two[0], two[1]);
        }
        eights = add(eights, count(carry_over(fours, four[0], four[1])));
    }
    Words total = twice(add(twice(add(twice(eights), count(fours))), count(twos)));
    total = add(total, count(ones));
    while (w < words) total = add(total, count(next()));
    std::uint64_t lane[step];
    store(lane, total);
    std::uint64_t sum = 0;
    for (const std::uint64_t one : lane) sum += one;
    return static_cast<std::int64_t>(sum);
}

}  // namespace

extern const LabelPairs label_pairs = {lanes, triangle, bits, differences};

}  // namespace SACFAST_LEVEL
}  // namespace sacfast
