// control.cpp: what a test may ask of the simulator, as plain C for ctypes: simulator.py.

#include <cstring>
#include <deque>
#include <string>

#include "cuda_runtime_api.h"
#include "hostsim/memory.h"
#include "machine.h"
#include "settings.h"

#define HOSTSIM_API extern "C" __attribute__((visibility("default")))

namespace {
std::deque<CUstream_st> streams;
std::string joined;
}  // namespace

HOSTSIM_API void hostsim_configure(unsigned long long seed, unsigned preempt) {
    hostsim::settings.seed = seed;
    hostsim::settings.preempt = preempt;
}

HOSTSIM_API void* hostsim_allocate(std::size_t bytes, int device) {
    try {
        return hostsim::allocate(bytes, device);
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

HOSTSIM_API int hostsim_free(void* address) { return hostsim::release(address); }

// Copies from or to the CPU: what is copied in counts as written.
HOSTSIM_API void hostsim_upload(void* to, const void* from, std::size_t bytes) {
    std::memcpy(to, from, bytes);
    hostsim::mark_written(to, bytes);
}

HOSTSIM_API void hostsim_mark_written(const void* address, std::size_t bytes) {
    hostsim::mark_written(address, bytes);
}

// The findings since the last reset, one a line.
HOSTSIM_API const char* hostsim_findings() {
    joined.clear();
    for (const std::string& finding : hostsim::findings()) joined += finding + "\n";
    return joined.c_str();
}

HOSTSIM_API void hostsim_reset() { hostsim::reset_findings(); }

HOSTSIM_API std::size_t hostsim_live_allocations() { return hostsim::live_allocations(); }

HOSTSIM_API unsigned long long hostsim_launches() { return hostsim::settings.launches; }

HOSTSIM_API void hostsim_clear_devices() {
    hostsim::machine.devices.clear();
    if (hostsim::machine.failure == cudaSuccess) cudaSetDevice(0);
    cudaGetLastError();
}

HOSTSIM_API void hostsim_add_device(int major, int minor, int multiprocessors,
                                    std::size_t memory_bytes) {
    hostsim::machine.devices.push_back(hostsim::simulated_device(major, minor, multiprocessors));
    hostsim::machine.devices.back().totalGlobalMem = memory_bytes;
}

// Every call of the runtime answers `error` from now on; 0: they work.
HOSTSIM_API void hostsim_fail(int error, int driver) {
    hostsim::machine.failure = static_cast<cudaError_t>(error);
    hostsim::machine.driver = driver;
}

HOSTSIM_API void* hostsim_create_stream(int device) {
    streams.push_back({device, false});
    return &streams.back();
}

HOSTSIM_API void hostsim_set_capturing(void* stream, int capturing) {
    static_cast<CUstream_st*>(stream)->capturing = capturing != 0;
}

HOSTSIM_API int hostsim_current_device() { return hostsim::current_device(); }
