// runtime.cpp: devices, streams and errors as a test has set them up; and the findings.

#include <dlfcn.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "cuda_runtime_api.h"
#include "hostsim/tensor_cores.h"
#include "machine.h"
#include "settings.h"

namespace hostsim {

Machine machine;

namespace {

int current = 0;
cudaError_t last_error = cudaSuccess;

std::vector<std::string> found;
std::set<std::string> places;

cudaError_t answer(cudaError_t error) {
    if (error != cudaSuccess) last_error = error;
    return error;
}

// What every call of the runtime says where there is nothing to run on.
cudaError_t unusable() {
    if (machine.failure != cudaSuccess) return machine.failure;
    return machine.devices.empty() ? cudaErrorNoDevice : cudaSuccess;
}

cudaError_t judge_device(int device) {
    if (const cudaError_t error = unusable()) return error;
    const bool there = device >= 0 && device < static_cast<int>(machine.devices.size());
    return there ? cudaSuccess : cudaErrorInvalidDevice;
}

}  // namespace

int current_device() { return current; }

void fail_launch(int error) { last_error = static_cast<cudaError_t>(error); }

void report(const std::string& what, const void* code) {
    std::string place = what.substr(0, 24);
    std::string text = what;
    Dl_info info;
    if (code != nullptr && dladdr(code, &info) != 0) {
        char offset[32];
        std::snprintf(offset, sizeof offset, "+0x%zx",
                      static_cast<std::size_t>(static_cast<const char*>(code) - 1 -
                                               static_cast<const char*>(info.dli_fbase)));
        place += offset;
        text += std::string(" [") + info.dli_fname + offset + "]";
    }
    if (found.size() < 100 && places.insert(place).second) found.push_back(text);
}

const std::vector<std::string>& findings() {
    check_canaries();
    return found;
}

void reset_findings() {
    found.clear();
    places.clear();
    last_error = cudaSuccess;
}

float truncated_sum(const double* addends, int count) {
    double largest = 0.0;
    for (int i = 0; i < count; ++i) {
        if (!std::isfinite(addends[i])) {
            double sum = 0.0;
            for (int j = 0; j < count; ++j) sum += addends[j];
            return static_cast<float>(sum);
        }
        largest = std::max(largest, std::fabs(addends[i]));
    }
    if (largest == 0.0) return 0.0f;
    // 24 bits from the largest addend's first.
    const double unit = std::ldexp(1.0, std::max(std::ilogb(largest) - 23, -149));
    double units = 0.0;
    for (int i = 0; i < count; ++i) units += std::trunc(addends[i] / unit);
    const double sum = units * unit;  // exact: fewer than 30 bits
    float rounded = static_cast<float>(sum);
    if (std::fabs(static_cast<double>(rounded)) > std::fabs(sum)) {
        rounded = std::nextafter(rounded, 0.0f);
    }
    return rounded;
}

}  // namespace hostsim

using hostsim::answer;
using hostsim::judge_device;
using hostsim::machine;

cudaError_t cudaGetDeviceCount(int* count) {
    *count = 0;
    if (const cudaError_t error = hostsim::unusable()) return answer(error);
    *count = static_cast<int>(machine.devices.size());
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
    if (const cudaError_t error = judge_device(device)) return answer(error);
    *properties = machine.devices[device];
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
    if (const cudaError_t error = judge_device(device)) return answer(error);
    const cudaDeviceProp& of = machine.devices[device];
    switch (attribute) {
        case cudaDevAttrMultiProcessorCount:
            *value = of.multiProcessorCount;
            return cudaSuccess;
        case cudaDevAttrComputeCapabilityMajor:
            *value = of.major;
            return cudaSuccess;
        case cudaDevAttrComputeCapabilityMinor:
            *value = of.minor;
            return cudaSuccess;
    }
    return answer(cudaErrorInvalidValue);
}

cudaError_t cudaGetDevice(int* device) {
    if (const cudaError_t error = hostsim::unusable()) return answer(error);
    *device = hostsim::current;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
    if (const cudaError_t error = judge_device(device)) return answer(error);
    hostsim::current = device;
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(std::size_t* free_bytes, std::size_t* total_bytes) {
    if (const cudaError_t error = hostsim::unusable()) return answer(error);
    *total_bytes = machine.devices[hostsim::current].totalGlobalMem;
    const std::size_t taken = hostsim::live_bytes();
    *free_bytes = taken < *total_bytes ? *total_bytes - taken : 0;
    return cudaSuccess;
}

cudaError_t cudaStreamGetDevice(cudaStream_t stream, int* device) {
    if (const cudaError_t error = hostsim::unusable()) return answer(error);
    *device = stream == nullptr ? hostsim::current : stream->device;
    return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
    if (const cudaError_t error = hostsim::unusable()) return answer(error);
    *status = stream != nullptr && stream->capturing ? cudaStreamCaptureStatusActive
                                                     : cudaStreamCaptureStatusNone;
    return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int* version) {
    *version = machine.driver;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaPeekAtLastError() { return hostsim::last_error; }

cudaError_t cudaGetLastError() {
    const cudaError_t error = hostsim::last_error;
    hostsim::last_error = cudaSuccess;
    return error;
}

namespace {
struct ErrorText {
    cudaError_t error;
    const char *name, *text;
};
constexpr ErrorText error_texts[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration",
     "invalid configuration argument"},
    {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver",
     "CUDA driver version is insufficient for CUDA runtime version"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
};
}  // namespace

const char* cudaGetErrorString(cudaError_t error) {
    for (const ErrorText& entry : error_texts) {
        if (entry.error == error) return entry.text;
    }
    return "unknown error";
}

const char* cudaGetErrorName(cudaError_t error) {
    for (const ErrorText& entry : error_texts) {
        if (entry.error == error) return entry.name;
    }
    return "cudaErrorUnknown";
}
