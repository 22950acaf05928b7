#include "cuda/current_device.h"

#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

namespace sacfast::cuda {
namespace {

void check(cudaError_t status, const char* what) {
    if (status == cudaSuccess) return;
    cudaGetLastError();  // the error must not reach a later call
    throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(status));
}

void check_stream(void* stream, int device) {
#if CUDART_VERSION >= 12080
    int owner = 0;
    if (cudaStreamGetDevice(static_cast<cudaStream_t>(stream), &owner) != cudaSuccess) {
        cudaGetLastError();  // a driver older than the runtime does not tell
    } else if (owner != device) {
        throw std::runtime_error("a stream of device " + std::to_string(owner) +
                                 " for memory of device " + std::to_string(device));
    }
#else
    (void)stream;
    (void)device;
#endif
}

}  // namespace

CurrentDevice::CurrentDevice(int device, void* stream) : stream_{stream, 0} {
    int count = 0;
    check(cudaGetDeviceCount(&count), "no device");
    if (device < 0 || device >= count) {
        throw std::runtime_error("device " + std::to_string(device) + " of " +
                                 std::to_string(count));
    }
    check(cudaDeviceGetAttribute(&stream_.multiprocessors, cudaDevAttrMultiProcessorCount, device),
          "the number of multiprocessors");
    check(cudaGetDevice(&before_), "the current device");
    if (before_ != device) {
        check(cudaSetDevice(device), "making a device current");
        changed_ = true;
    }
    try {
        check_stream(stream, device);
    } catch (...) {
        restore();
        throw;
    }
}

CurrentDevice::~CurrentDevice() { restore(); }

void CurrentDevice::restore() {
    // A device that others hold alone refuses: the error must not reach a later call.
    if (changed_ && cudaSetDevice(before_) != cudaSuccess) cudaGetLastError();
}

}  // namespace sacfast::cuda
