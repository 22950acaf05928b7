// vector_types.h: float4 and its like, with CUDA's alignments.
#pragma once

#include "hostsim/scheduler.h"

#define HOSTSIM_VECTORS_2(T, NAME)                     \
    struct alignas(2 * sizeof(T)) NAME##2 { T x, y; }; \
    inline NAME##2 make_##NAME##2(T x, T y) { return {x, y}; }
#define HOSTSIM_VECTORS_4(T, NAME)                                                \
    struct alignas(sizeof(T) < 4 ? 4 * sizeof(T) : 16) NAME##4 { T x, y, z, w; }; \
    inline NAME##4 make_##NAME##4(T x, T y, T z, T w) { return {x, y, z, w}; }
#define HOSTSIM_VECTORS(T, NAME) HOSTSIM_VECTORS_2(T, NAME) HOSTSIM_VECTORS_4(T, NAME)

HOSTSIM_VECTORS(float, float)
HOSTSIM_VECTORS(double, double)
HOSTSIM_VECTORS(int, int)
HOSTSIM_VECTORS(unsigned, uint)
HOSTSIM_VECTORS(short, short)
HOSTSIM_VECTORS(unsigned short, ushort)
HOSTSIM_VECTORS(signed char, char)
HOSTSIM_VECTORS(unsigned char, uchar)
HOSTSIM_VECTORS(long long, longlong)
HOSTSIM_VECTORS(unsigned long long, ulonglong)
