// bind_arguments.h: the arguments that the modules _core and _cuda take alike.
//
// Python's functions check arguments and word the errors; what is checked again in the bindings
// keeps a wrong call from reading memory that isn't there. Each module has a TensorRef of its own.
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "center.h"
#include "tensor_ref.h"

namespace sacfast {

template <typename T>
T named(const std::map<std::string, T>& names, const std::string& name) {
    const auto found = names.find(name);
    if (found == names.end()) throw std::invalid_argument("unknown name: " + name);
    return found->second;
}

inline const std::map<std::string, DType> dtypes = {
    {"float16", DType::float16}, {"bfloat16", DType::bfloat16}, {"float32", DType::float32},
    {"float64", DType::float64}, {"int8", DType::int8},         {"int16", DType::int16},
    {"int32", DType::int32},     {"int64", DType::int64},       {"uint8", DType::uint8},
    {"uint16", DType::uint16},   {"uint32", DType::uint32},     {"uint64", DType::uint64},
    {"bool", DType::boolean},
};

inline const std::map<std::string, Center> centers = {
    {"none", Center::none}, {"row", Center::row}, {"double", Center::twice}};

inline std::string dtype_name(DType dtype) {
    for (const auto& [name, value] : dtypes) {
        if (value == dtype) return name;
    }
    throw std::logic_error("dtype_name: unknown element type");
}

inline void require(bool condition, const char* message) {
    if (!condition) throw std::invalid_argument(message);
}

// One matrix per model: from a batch of three axes, or from a list of matrices.
inline std::vector<Matrix> models_of(const std::vector<TensorRef>& refs, Side side = Side::cpu) {
    std::vector<Matrix> models;
    for (const TensorRef& ref : refs) {
        if (ref.shape().size() == 3) {
            const std::vector<Matrix> batch = ref.matrices(side);
            models.insert(models.end(), batch.begin(), batch.end());
        } else {
            models.push_back(ref.matrix(side));
        }
    }
    for (const Matrix& model : models) {
        require(model.rows == models[0].rows, "models with different numbers of rows");
    }
    return models;
}

inline std::int64_t pairs_of(const std::vector<Matrix>& models) {
    return models.empty() ? 0 : models[0].rows * (models[0].rows - 1) / 2;
}

// The class as Python sees it, but for how one is made.
inline pybind11::class_<TensorRef> bind_tensor_ref(pybind11::module_& m) {
    namespace py = pybind11;
    return py::class_<TensorRef>(m, "TensorRef", py::module_local())
        .def_property_readonly("address", &TensorRef::address)
        .def_property_readonly("shape",
                               [](const TensorRef& r) { return py::tuple(py::cast(r.shape())); })
        .def_property_readonly("strides",
                               [](const TensorRef& r) { return py::tuple(py::cast(r.strides())); })
        .def_property_readonly("dtype", [](const TensorRef& r) { return dtype_name(r.dtype()); })
        .def_property_readonly("contiguous", &TensorRef::contiguous)
        .def("overlaps", &TensorRef::overlaps, py::arg("other"));
}

}  // namespace sacfast
