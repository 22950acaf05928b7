#include <cuda_runtime.h>

#include "cuda/device_query.h"

namespace sacfast {
namespace {

std::string version(int number) {  // as the runtime counts: 13010 is 13.1
    return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
}

std::string why(cudaError_t status) {
    int driver = 0;
    if (cudaDriverGetVersion(&driver) != cudaSuccess) driver = 0;
    if (status == cudaErrorInsufficientDriver && driver == 0) {
        return "no NVIDIA driver is installed";
    }
    if (status == cudaErrorInsufficientDriver) {
        return "the NVIDIA driver is too old: it supports CUDA " + version(driver) +
               ", this build needs " + version(CUDART_VERSION);
    }
    return cudaGetErrorString(status);
}

}  // namespace

Devices query_devices() {
    Devices devices;
    int count = 0;
    cudaError_t status = cudaGetDeviceCount(&count);
    for (int i = 0; status == cudaSuccess && i < count; ++i) {
        cudaDeviceProp properties;
        status = cudaGetDeviceProperties(&properties, i);
        if (status == cudaSuccess) {
            devices.found.push_back({properties.name, properties.major, properties.minor,
                                     static_cast<std::uint64_t>(properties.totalGlobalMem)});
        }
    }
    if (status != cudaSuccess) {
        devices.reason = why(status);
        cudaGetLastError();  // the error must not reach a later call
    } else if (count == 0) {
        devices.reason = "the CUDA runtime reports no device";
    }
    return devices;
}

cuda::Product float32_product(const Device& device) {
    const bool data_centre = device.major >= 8 && device.major <= 10 && device.minor == 0;
    return data_centre ? cuda::Product::tf32x3 : cuda::Product::fma;
}

}  // namespace sacfast
