// dlpack.h: the layout of a DLPack capsule, as its specification (version 1.0) fixes it.
//
// Only what sacfast reads is named; deleters and manager contexts are never touched, since the
// capsule keeps its memory until Python frees it.
#pragma once

#include <cstdint>

namespace sacfast::dlpack {

struct Tensor {
    void* data;
    std::int32_t device;  // 1 CPU, 2 CUDA, 3 CUDA host memory, ...
    std::int32_t device_id;
    std::int32_t ndim;
    std::uint8_t code;  // 0 int, 1 uint, 2 float, 4 bfloat, 5 complex, 6 bool
    std::uint8_t bits;
    std::uint16_t lanes;
    const std::int64_t* shape;
    const std::int64_t* strides;  // elements; null = one after the other
    std::uint64_t byte_offset;
};

struct ManagedTensor {  // capsule "dltensor"
    Tensor tensor;
    void* context;
    void (*deleter)(ManagedTensor*);
};

struct ManagedTensorVersioned {  // capsule "dltensor_versioned"
    std::uint32_t major;
    std::uint32_t minor;
    void* context;
    void (*deleter)(ManagedTensorVersioned*);
    std::uint64_t flags;
    Tensor tensor;
};

}  // namespace sacfast::dlpack
