// machine.h: the devices that a test pretends to have.
#pragma once

#include <cstring>
#include <vector>

#include "cuda_runtime_api.h"

namespace hostsim {

inline cudaDeviceProp simulated_device(int major, int minor, int multiprocessors) {
    cudaDeviceProp device{};
    std::strcpy(device.name, "simulated on the CPU");
    device.totalGlobalMem = std::size_t{8} << 30;
    device.major = major;
    device.minor = minor;
    device.multiProcessorCount = multiprocessors;
    return device;
}

struct Machine {
    std::vector<cudaDeviceProp> devices{simulated_device(8, 0, 3)};
    cudaError_t failure =
        cudaSuccess;  // what every call of the runtime answers: no driver, an old one
    int driver = CUDART_VERSION;
};
extern Machine machine;

}  // namespace hostsim
