// device_query.h: which GPUs the CUDA runtime sees.
//
// Calls nothing but the runtime's queries; where there is no driver or no device the list is empty
// and `reason` says why in the runtime's words.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

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

}  // namespace sacfast
