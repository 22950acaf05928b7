// device_query.h: which GPUs the CUDA runtime sees, and how products are taken on each.
//
// Calls nothing but the runtime's queries; where there is no driver or no device the list is empty
// and `reason` says why.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cuda/launch.h"

namespace sacfast {

struct Device {
    std::string name;
    int major;  // compute capability
    int minor;
    std::uint64_t memory_bytes;
};

struct Devices {
    std::vector<Device> found;
    std::string reason;  // why none was found; empty otherwise
};

Devices query_devices();

// What "float32" means on a device. It depends on nothing else, so that no result depends on what
// it was computed together with. Data centres' devices (8.0, 9.0, 10.0) multiply TF32 on tensor
// cores at 7 or more times the rate of float32 and gain by three products for one; the others
// multiply at 1 or 2 times that rate and don't.
cuda::Product float32_product(const Device& device);

}  // namespace sacfast
