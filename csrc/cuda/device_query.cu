#include <cuda_runtime_api.h>

#include "cuda/device_query.h"

namespace sacfast {

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
        devices.reason = cudaGetErrorString(status);
        cudaGetLastError();  // the error must not reach a later call
    } else if (count == 0) {
        devices.reason = "the CUDA runtime reports no device";
    }
    return devices;
}

}  // namespace sacfast
