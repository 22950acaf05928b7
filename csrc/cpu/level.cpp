#include "cpu/level.h"

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <string>

namespace sacfast {
namespace {

std::vector<Level> found() {
    std::vector<Level> all{Level::baseline};
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
        __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("f16c")) {
        all.push_back(Level::v3);
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
            __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni")) {
            all.push_back(Level::v4);
        }
    }
#endif
    return all;
}

std::atomic<Level>& current() {
    static std::atomic<Level> chosen{found().back()};
    return chosen;
}

}  // namespace

const char* level_name(Level level) {
    switch (level) {
        case Level::baseline:
            return "baseline";
        case Level::v3:
            return "v3";
        case Level::v4:
            return "v4";
    }
    throw std::logic_error("level_name: unknown level");
}

std::vector<Level> levels() { return found(); }

Level level() { return current().load(std::memory_order_relaxed); }

void use_level(Level level) {
    const std::vector<Level> all = found();
    if (std::find(all.begin(), all.end(), level) == all.end()) {
        throw std::invalid_argument(std::string("use_level: this processor can't run ") +
                                    level_name(level));
    }
    current() = level;
}

}  // namespace sacfast
