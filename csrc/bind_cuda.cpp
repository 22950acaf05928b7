// bind_cuda.cpp: the module _cuda. So far it says what it was built for and which GPUs there are.
//
// The CUDA runtime is linked statically and opens the driver on its first call: the module imports
// on a machine without one.

#include <pybind11/pybind11.h>

#include "cuda/device_query.h"

namespace py = pybind11;

namespace sacfast {
namespace {

py::dict devices() {
    Devices queried;
    {
        const py::gil_scoped_release released;
        queried = query_devices();
    }
    py::list found;
    for (const Device& device : queried.found) {
        py::dict entry;
        entry["name"] = device.name;
        entry["compute_capability"] = py::make_tuple(device.major, device.minor);
        entry["memory_bytes"] = device.memory_bytes;
        found.append(entry);
    }
    py::dict answer;
    answer["devices"] = found;
    answer["reason"] = queried.reason;
    return answer;
}

py::dict build_facts() {
    py::dict facts;
    facts["architectures"] = SACFAST_CUDA_ARCHITECTURES;
    facts["toolkit"] = SACFAST_CUDA_TOOLKIT;
    return facts;
}

}  // namespace

PYBIND11_MODULE(_cuda, m) {
    m.doc() = "The CUDA side of sacfast; reached through sacfast.kernels only.";
    m.def("devices", &devices);
    m.def("build_facts", &build_facts);
}

}  // namespace sacfast
