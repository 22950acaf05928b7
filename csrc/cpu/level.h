// level.h: what the processor can do, and the choice between kernels compiled for it.
//
// The inner loops live in csrc/cpu/level/. Each source there is compiled once per level, with that
// level's compiler flags and inside a namespace of that name:
//
//   baseline  128-bit vectors through the compiler's vector extension: any processor
//   v3        x86-64-v3: AVX2 and FMA
//   v4        x86-64-v4 and VNNI: AVX-512 with integer dot products (Ice Lake, Zen 4 and later)
//
// and offers its functions as one constant table of function pointers. A caller reads the table
// through the function that SACFAST_TABLE declares, which picks the level at run time.
//
// A source in level/ includes nothing of the C++ library that holds code: an inline function
// compiled for AVX-512 under a name that other objects share could be the copy that the linker
// keeps, and would then stop an older processor. Memory, threads and errors are the caller's.
#pragma once

#include <vector>

namespace sacfast {

enum class Level { baseline, v3, v4 };

const char* level_name(Level level);

// The levels that were compiled in and that this processor can run, lowest first.
std::vector<Level> levels();

// The level in use: the highest of levels(), unless use_level chose another.
Level level();

// For tests and benchmarks. Throws std::invalid_argument for a level that is not among levels().
void use_level(Level level);

}  // namespace sacfast

#if defined(__x86_64__)
#define SACFAST_TABLE(Table, name) \
    namespace baseline {           \
    extern const Table name;       \
    }                              \
    namespace v3 {                 \
    extern const Table name;       \
    }                              \
    namespace v4 {                 \
    extern const Table name;       \
    }                              \
    inline const Table& name() {   \
        switch (level()) {         \
            case Level::v4:        \
                return v4::name;   \
            case Level::v3:        \
                return v3::name;   \
            case Level::baseline:  \
                break;             \
        }                          \
        return baseline::name;     \
    }
#else
#define SACFAST_TABLE(Table, name) \
    namespace baseline {           \
    extern const Table name;       \
    }                              \
    inline const Table& name() { return baseline::name; }
#endif
