// limits.cpp: what this processor can do at most, in the units that the kernels are counted in.
//
// Compiled by limits.py with the system's compiler when a benchmark runs, and loaded by ctypes.
//
// Arithmetic: loops of twelve independent accumulators, all operands in registers, so that nothing
// but the issue ports limits them. Which instructions serve an operation best differs between
// processors (Zen 4 adds on two ports and multiplies on two others; Intel does both on the same
// ones), so every known way is tried, and limits.py takes the fastest that a level may use.
// Written in assembly, because a compiler would fold, hoist or spill what is to be counted; the
// assembler takes every instruction set, and probe_runs() says which ones the processor has.
//
// Memory: each thread reads or writes its own share of a buffer of the asked size, again and again.

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

namespace {

// `code` for accumulators 0..11 (\a); register 12 is scratch (renamed each time), 13 to 15 are
// operands. `zero` clears a register first: no subnormals, no traps. `end` leaves the upper halves
// clean, for instructions of 16 bytes would wait for them.
#define PROBE(name, zero, code, end)                                                          \
    void name(std::int64_t rounds) {                                                          \
        asm volatile(".irp a, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n" zero    \
                     "\n.endr\n"                                                              \
                     "1:\n.irp a, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11\n" code                \
                     "\n.endr\n"                                                              \
                     "dec %0\njnz 1b\n" end                                                   \
                     : "+r"(rounds)                                                           \
                     :                                                                        \
                     : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",  \
                       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"); \
    }
#define OLD_PROBE(name, code) PROBE(name, "xorps %%xmm\\a, %%xmm\\a", code, "")
#define NEW_PROBE(name, code) \
    PROBE(name, "vxorps %%xmm\\a, %%xmm\\a, %%xmm\\a", code, "vzeroupper\n")

// Three operands, for vectors of 32 and 64 bytes. R(v, n) is register n
// of that width, A(v) the accumulator.
// clang-format off
#define R(v, n) "%%" #v #n
#define A(v) "%%" #v "\\a"
#define VECTOR_PROBES(v) \
    NEW_PROBE(fma_##v, \
        "vfmadd231ps " R(v, 13) ", " R(v, 14) ", " A(v)) \
    NEW_PROBE(max_fma_##v, \
        "vmaxps " R(v, 13) ", " R(v, 14) ", " R(v, 12) "\n" \
        "vfmadd231ps " R(v, 15) ", " R(v, 12) ", " A(v)) \
    NEW_PROBE(max_add_##v, \
        "vmaxps " R(v, 13) ", " R(v, 14) ", " R(v, 12) "\n" \
        "vaddps " R(v, 12) ", " A(v) ", " A(v)) \
    NEW_PROBE(sub_and_add_##v, \
        "vsubps " R(v, 13) ", " R(v, 14) ", " R(v, 12) "\n" \
        "vandps " R(v, 15) ", " R(v, 12) ", " R(v, 12) "\n" \
        "vaddps " R(v, 12) ", " A(v) ", " A(v)) \
    NEW_PROBE(sub_and_fma_##v, \
        "vsubps " R(v, 13) ", " R(v, 14) ", " R(v, 12) "\n" \
        "vandps " R(v, 15) ", " R(v, 12) ", " R(v, 12) "\n" \
        "vfmadd231ps " R(v, 15) ", " R(v, 12) ", " A(v)) \
    NEW_PROBE(max_madd_add_##v, \
        "vpmaxsw " R(v, 13) ", " R(v, 14) ", " R(v, 12) "\n" \
        "vpmaddwd " R(v, 15) ", " R(v, 12) ", " R(v, 12) "\n" \
        "vpaddd " R(v, 12) ", " A(v) ", " A(v)) \
    NEW_PROBE(max_dot_##v, \
        "vpmaxsw " R(v, 13) ", " R(v, 14) ", " R(v, 12) "\n" \
        "vpdpwssd " R(v, 15) ", " R(v, 12) ", " A(v))
// clang-format on

VECTOR_PROBES(ymm)
VECTOR_PROBES(zmm)
// Two operands, for the baseline: a copy first.
OLD_PROBE(mul_add_xmm, "movaps %%xmm13, %%xmm12\nmulps %%xmm14, %%xmm12\naddps %%xmm12, %%xmm\\a")
OLD_PROBE(max_add_xmm, "movaps %%xmm13, %%xmm12\nmaxps %%xmm14, %%xmm12\naddps %%xmm12, %%xmm\\a")
OLD_PROBE(sub_and_add_xmm,
          "movaps %%xmm13, %%xmm12\nsubps %%xmm14, %%xmm12\n"
          "andps %%xmm15, %%xmm12\naddps %%xmm12, %%xmm\\a")
OLD_PROBE(max_madd_add_xmm,
          "movdqa %%xmm13, %%xmm12\npmaxsw %%xmm14, %%xmm12\n"
          "pmaddwd %%xmm15, %%xmm12\npaddd %%xmm12, %%xmm\\a")

bool always() { return true; }
bool v3() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
bool v4() {
    return v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
}

struct Probe {
    const char* kind;      // what is counted
    const char* level;     // the lowest level that may use it
    const char* sequence;  // the instructions
    int per_instance;      // operations (fma: 2 a lane) or elements a vector
    bool (*runs)();
    void (*loop)(std::int64_t);
};

const Probe probes[] = {
    {"fma", "baseline", "mulps+addps 16 B", 8, always, mul_add_xmm},
    {"fma", "v3", "vfmadd 32 B", 16, v3, fma_ymm},
    {"fma", "v4", "vfmadd 64 B", 32, v4, fma_zmm},
    {"l1_float32", "baseline", "max+add 16 B", 4, always, max_add_xmm},
    {"l1_float32", "baseline", "sub+and+add 16 B", 4, always, sub_and_add_xmm},
    {"l1_float32", "v3", "max+fma 32 B", 8, v3, max_fma_ymm},
    {"l1_float32", "v3", "max+add 32 B", 8, v3, max_add_ymm},
    {"l1_float32", "v3", "sub+and+add 32 B", 8, v3, sub_and_add_ymm},
    {"l1_float32", "v3", "sub+and+fma 32 B", 8, v3, sub_and_fma_ymm},
    {"l1_float32", "v4", "max+fma 64 B", 16, v4, max_fma_zmm},
    {"l1_float32", "v4", "max+add 64 B", 16, v4, max_add_zmm},
    {"l1_float32", "v4", "sub+and+add 64 B", 16, v4, sub_and_add_zmm},
    {"l1_float32", "v4", "sub+and+fma 64 B", 16, v4, sub_and_fma_zmm},
    {"l1_int16", "baseline", "max+madd+add 16 B", 8, always, max_madd_add_xmm},
    {"l1_int16", "v3", "max+madd+add 32 B", 16, v3, max_madd_add_ymm},
    {"l1_int16", "v4", "max+madd+add 64 B", 32, v4, max_madd_add_zmm},
    {"l1_int16", "v4", "max+dot 32 B", 16, v4, max_dot_ymm},
    {"l1_int16", "v4", "max+dot 64 B", 32, v4, max_dot_zmm},
};
constexpr int probe_count = sizeof(probes) / sizeof(probes[0]);

// One pass over [p, p + bytes), 256 bytes a turn: plain, or with a prefetch eight turns ahead.
#define PASS(name, code, leave)                            \
    void name(char* p, std::int64_t bytes) {               \
        char* end = p + bytes / 256 * 256;                 \
        asm volatile("1:\n" code                           \
                     "\nadd $256, %0\ncmp %1, %0\njb 1b\n" \
                     "sfence\n" leave                      \
                     : "+r"(p)                             \
                     : "r"(end)                            \
                     : "cc", "memory", "xmm0");            \
    }
#define EVERY(step, code) ".irp o, " step "\n" code "\n.endr"
#define BY_16 "0,16,32,48,64,80,96,112,128,144,160,176,192,208,224,240"
#define BY_32 "0,32,64,96,128,160,192,224"
#define BY_64 "0,64,128,192"
PASS(read_16, EVERY(BY_16, "movaps \\o(%0), %%xmm0"), "")
PASS(read_32, EVERY(BY_32, "vmovaps \\o(%0), %%ymm0"), "vzeroupper\n")
PASS(read_64, EVERY(BY_64, "vmovaps \\o(%0), %%zmm0"), "vzeroupper\n")
PASS(read_ahead,
     EVERY(BY_64, "prefetcht0 2048+\\o(%0)") "\n" EVERY(BY_16, "movaps \\o(%0), %%xmm0"), "")
PASS(store_16, EVERY(BY_16, "movaps %%xmm0, \\o(%0)"), "")
PASS(store_32, EVERY(BY_32, "vmovaps %%ymm0, \\o(%0)"), "vzeroupper\n")
PASS(store_64, EVERY(BY_64, "vmovaps %%zmm0, \\o(%0)"), "vzeroupper\n")
PASS(stream_16, EVERY(BY_16, "movntps %%xmm0, \\o(%0)"), "")
PASS(stream_64, EVERY(BY_64, "vmovntps %%zmm0, \\o(%0)"), "vzeroupper\n")

struct Pass {
    const char* kind;  // "read", "store" (through the caches) or "stream" (past them)
    bool (*runs)();
    void (*pass)(char*, std::int64_t);
};

const Pass passes[] = {
    {"read", always, read_16},    {"read", v3, read_32},         {"read", v4, read_64},
    {"read", always, read_ahead}, {"store", always, store_16},   {"store", v3, store_32},
    {"store", v4, store_64},      {"stream", always, stream_16}, {"stream", v4, stream_64},
};

using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

// Seconds of `work(thread)` on all threads at once, the fastest of `repeats`.
double fastest(int threads, int repeats, const std::function<void(int)>& work) {
    double best = 1e300;
    for (int repeat = 0; repeat < repeats; ++repeat) {
        std::atomic<int> waiting{threads};
        std::vector<double> seconds(static_cast<std::size_t>(threads));
        const auto run = [&](int thread) {
            --waiting;
            while (waiting > 0) {
            }
            const Clock::time_point start = Clock::now();
            work(thread);
            seconds[static_cast<std::size_t>(thread)] = since(start);
        };
        std::vector<std::thread> others;
        for (int thread = 1; thread < threads; ++thread) others.emplace_back(run, thread);
        run(0);
        for (std::thread& other : others) other.join();
        best = std::min(best, *std::max_element(seconds.begin(), seconds.end()));
    }
    return best;
}

}  // namespace

extern "C" {

int probe_total() { return probe_count; }
const char* probe_kind(int i) { return probes[i].kind; }
const char* probe_level(int i) { return probes[i].level; }
const char* probe_sequence(int i) { return probes[i].sequence; }
int probe_runs(int i) { return probes[i].runs(); }

// Operations or elements a second, all threads together.
double probe_rate(int i, int threads, int repeats) {
    constexpr std::int64_t rounds = 200000;  // about a millisecond
    const double seconds = fastest(threads, repeats, [&](int) { probes[i].loop(rounds); });
    return static_cast<double>(threads) * rounds * 12 * probes[i].per_instance / seconds;
}

// Bytes a second over a buffer of this size, all threads together; 0 where memory is short.
double memory_rate(const char* kind, std::int64_t bytes, int threads, int repeats) {
    const std::int64_t share = std::max<std::int64_t>(bytes / threads / 256 * 256, 256);
    const std::size_t size = static_cast<std::size_t>(share * threads);
    void* buffer = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (buffer == MAP_FAILED) return 0;
    madvise(buffer, size, MADV_HUGEPAGE);  // as NumPy does
    std::memset(buffer, 0, size);
    char* start = static_cast<char*>(buffer);
    const std::int64_t turns = std::max<std::int64_t>(1, (std::int64_t{4} << 20) / share);
    double best = 0;
    for (const Pass& one : passes) {
        if (std::strcmp(one.kind, kind) != 0 || !one.runs()) continue;
        const double seconds = fastest(threads, repeats, [&](int thread) {
            for (std::int64_t turn = 0; turn < turns; ++turn) {
                one.pass(start + thread * share, share);
            }
        });
        best = std::max(best, static_cast<double>(size) * static_cast<double>(turns) / seconds);
    }
    munmap(buffer, size);
    return best;
}

}  // extern "C"
