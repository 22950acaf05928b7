// hooks.cpp: what -fsanitize=thread calls at every load and store, and -fsanitize=alignment and its
// like at undefined behaviour; here they go to our own judge.
//
// Objects are compiled with these flags and linked without them. The names are hidden, so that the
// module can live in a process where the real sanitizers run.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "hostsim/memory.h"
#include "hostsim/scheduler.h"
#include "settings.h"

#define CODE __builtin_return_address(0)
#define HOSTSIM_HOOKS(N)                                                                  \
    void __tsan_read##N(void* p) { hostsim::access(p, N, false, false, CODE, N); }        \
    void __tsan_write##N(void* p) { hostsim::access(p, N, true, false, CODE, N); }        \
    void __tsan_unaligned_read##N(void* p) { hostsim::access(p, N, false, false, CODE); } \
    void __tsan_unaligned_write##N(void* p) { hostsim::access(p, N, true, false, CODE); }

// Only code of the host (reference counts and the like) has these.
#define HOSTSIM_ATOMICS(BITS, T)                                 \
    T __tsan_atomic##BITS##_load(const volatile T* p, int) {     \
        return __atomic_load_n(p, __ATOMIC_SEQ_CST);             \
    }                                                            \
    void __tsan_atomic##BITS##_store(volatile T* p, T x, int) {  \
        __atomic_store_n(p, x, __ATOMIC_SEQ_CST);                \
    }                                                            \
    T __tsan_atomic##BITS##_fetch_add(volatile T* p, T x, int) { \
        return __atomic_fetch_add(p, x, __ATOMIC_SEQ_CST);       \
    }                                                            \
    T __tsan_atomic##BITS##_fetch_sub(volatile T* p, T x, int) { \
        return __atomic_fetch_sub(p, x, __ATOMIC_SEQ_CST);       \
    }

namespace {
void undefined(const char* what, const void* code, bool ends) {
    hostsim::report(std::string(what) + " by " + hostsim::where(), code);
    if (ends && hostsim::running() != nullptr) {
        hostsim::abandon("the launch ends after undefined behaviour");
    }
}
}  // namespace

// NAME is called with a description of the place, and with the operands.
#define HOSTSIM_UNDEFINED(NAME, WHAT, ENDS) \
    void __ubsan_handle_##NAME(void*, void*, void*) { undefined(WHAT, CODE, ENDS); }

extern "C" {
HOSTSIM_UNDEFINED(type_mismatch_v1, "misaligned: a use of an address as one of a larger type", true)
HOSTSIM_UNDEFINED(out_of_bounds, "out of bounds: an index of an array of known size", true)
HOSTSIM_UNDEFINED(add_overflow, "overflow: a sum of signed integers", false)
HOSTSIM_UNDEFINED(sub_overflow, "overflow: a difference of signed integers", false)
HOSTSIM_UNDEFINED(mul_overflow, "overflow: a product of signed integers", false)
HOSTSIM_UNDEFINED(negate_overflow, "overflow: a negative of a signed integer", false)
HOSTSIM_UNDEFINED(shift_out_of_bounds, "overflow: a shift by more bits than there are", false)
HOSTSIM_HOOKS(1)
HOSTSIM_HOOKS(2)
HOSTSIM_HOOKS(4)
HOSTSIM_HOOKS(8)
HOSTSIM_HOOKS(16)
HOSTSIM_ATOMICS(8, std::uint8_t)
HOSTSIM_ATOMICS(32, std::uint32_t)
HOSTSIM_ATOMICS(64, std::uint64_t)
void __tsan_read_range(void* p, std::size_t n) { hostsim::access(p, n, false, false, CODE); }
void __tsan_write_range(void* p, std::size_t n) { hostsim::access(p, n, true, false, CODE); }
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}

// Calls of the C library that remain calls: build.py renames them so.
void* hostsim_memcpy(void* to, const void* from, std::size_t n) {
    hostsim::access(from, n, false, false, CODE);
    hostsim::access(to, n, true, false, CODE);
    return std::memcpy(to, from, n);
}
void* hostsim_memmove(void* to, const void* from, std::size_t n) {
    hostsim::access(from, n, false, false, CODE);
    hostsim::access(to, n, true, false, CODE);
    return std::memmove(to, from, n);
}
void* hostsim_memset(void* to, int byte, std::size_t n) {
    hostsim::access(to, n, true, false, CODE);
    return std::memset(to, byte, n);
}
}
