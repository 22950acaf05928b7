// warp.h: barriers, shuffles, votes. All 32 lanes of a warp take part: other masks are refused.
#pragma once

#include <cstring>
#include <type_traits>

#include "hostsim/scheduler.h"

constexpr int warpSize = 32;

#define HOSTSIM_SITE const char *file = __builtin_FILE(), int line = __builtin_LINE()

inline void __syncthreads(HOSTSIM_SITE) { hostsim::synchronise_block({file, line}, false); }
inline int __syncthreads_count(int vote, HOSTSIM_SITE) {
    return hostsim::synchronise_block({file, line}, vote != 0).count;
}
inline int __syncthreads_and(int vote, HOSTSIM_SITE) {
    return hostsim::synchronise_block({file, line}, vote != 0).all;
}
inline int __syncthreads_or(int vote, HOSTSIM_SITE) {
    return hostsim::synchronise_block({file, line}, vote != 0).any;
}
inline void __syncwarp(unsigned mask = 0xffffffffu, HOSTSIM_SITE) {
    hostsim::synchronise_warp(mask, "__syncwarp", {file, line}, nullptr, nullptr, 0, true);
}

namespace hostsim {

template <class T>
struct Lanes {
    T of[32];
};

template <class T>
Lanes<T> exchange(unsigned mask, const char* operation, Site site, const T& mine) {
    static_assert(std::is_trivially_copyable_v<T>, "lanes exchange plain bytes");
    Lanes<T> all;
    synchronise_warp(mask, operation, site, &mine, all.of, sizeof(T), false);
    return all;
}

// CUDA: a lane whose source lies outside of its segment of `width` lanes gets its own value.
template <class T>
T shuffle(unsigned mask, const char* operation, Site site, T mine, int source, int width) {
    const int first = lane() & ~(width - 1);
    const Lanes<T> all = exchange(mask, operation, site, mine);
    return source < first || source >= first + width ? mine : all.of[source];
}

}  // namespace hostsim

template <class T>
T __shfl_sync(unsigned mask, T mine, int source, int width = 32, HOSTSIM_SITE) {
    const int first = hostsim::lane() & ~(width - 1);
    return hostsim::shuffle(mask, "__shfl_sync", {file, line}, mine, first + (source & (width - 1)),
                            width);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T mine, int bits, int width = 32, HOSTSIM_SITE) {
    return hostsim::shuffle(mask, "__shfl_xor_sync", {file, line}, mine, hostsim::lane() ^ bits,
                            width);
}
template <class T>
T __shfl_down_sync(unsigned mask, T mine, unsigned by, int width = 32, HOSTSIM_SITE) {
    return hostsim::shuffle(mask, "__shfl_down_sync", {file, line}, mine,
                            hostsim::lane() + static_cast<int>(by), width);
}
template <class T>
T __shfl_up_sync(unsigned mask, T mine, unsigned by, int width = 32, HOSTSIM_SITE) {
    return hostsim::shuffle(mask, "__shfl_up_sync", {file, line}, mine,
                            hostsim::lane() - static_cast<int>(by), width);
}

inline unsigned __ballot_sync(unsigned mask, int vote, HOSTSIM_SITE) {
    const auto all = hostsim::exchange<int>(mask, "__ballot_sync", {file, line}, vote != 0);
    unsigned bits = 0;
    for (int i = 0; i < 32; ++i) bits |= static_cast<unsigned>(all.of[i]) << i;
    return bits;
}
inline int __any_sync(unsigned mask, int vote, HOSTSIM_SITE) {
    return __ballot_sync(mask, vote, file, line) != 0;
}
inline int __all_sync(unsigned mask, int vote, HOSTSIM_SITE) {
    return __ballot_sync(mask, vote, file, line) == 0xffffffffu;
}

#undef HOSTSIM_SITE
