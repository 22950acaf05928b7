// bind_cuda.cpp: the module _cuda. Conversion of arguments and release of the GIL; no maths.
//
// Every function takes the device, the stream and scratch memory of its caller and returns once its
// kernels are on the stream. The CUDA runtime is linked statically and opens the driver on its
// first call: the module imports on a machine without one.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "bind_arguments.h"
#include "cuda/correlation.h"
#include "cuda/correlation_distance.h"
#include "cuda/correlation_products.h"
#include "cuda/current_device.h"
#include "cuda/device_query.h"
#include "cuda/fri_features.h"
#include "cuda/pairwise_distance.h"
#include "tensor_ref.h"

namespace py = pybind11;

namespace sacfast {
namespace {

using cuda::Need;
using cuda::Product;
using cuda::Scratch;

const std::map<std::string, Product> products = {
    {"fma", Product::fma}, {"tf32x3", Product::tf32x3}, {"bfloat16", Product::bfloat16}};

std::string product_name(Product product) {
    for (const auto& [name, value] : products) {
        if (value == product) return name;
    }
    throw std::logic_error("product_name: unknown product");
}

const std::map<std::string, bool> kernels = {{"cosine", false}, {"rbf_normalised", true}};

std::pair<std::int64_t, std::int64_t> pair_of(const Need& need) { return {need.least, need.most}; }

// Where a call runs.
struct Place {
    int device;
    void* stream;
    Scratch scratch;

    void require_here(const TensorRef& ref) const {
        require(ref.device_id() == device, "memory of another device");
    }
    void require_here(const std::vector<TensorRef>& refs) const {
        for (const TensorRef& ref : refs) require_here(ref);
    }
};

Place place_of(int device, std::uintptr_t stream, std::uintptr_t scratch, std::int64_t bytes) {
    require(scratch % 256 == 0, "scratch that is not aligned to 256 bytes");
    return {
        device, reinterpret_cast<void*>(stream), {reinterpret_cast<std::byte*>(scratch), bytes}};
}

Matrix matrix_of(const TensorRef& ref) { return ref.matrix(Side::cuda); }
std::vector<Matrix> models_on_device(const std::vector<TensorRef>& refs) {
    return models_of(refs, Side::cuda);
}

template <typename T>
T* output_of(const TensorRef& ref, std::int64_t size) {
    return ref.output<T>(size, Side::cuda);
}

std::int64_t count_of(const std::vector<Matrix>& models) {
    return static_cast<std::int64_t>(models.size());
}

// ---- correlation ----

auto correlation_scratch(const std::vector<TensorRef>& outputs, const std::string& product) {
    return pair_of(cuda::correlation_scratch(models_on_device(outputs), named(products, product)));
}

void bind_correlation(const std::vector<TensorRef>& outputs, const std::string& center,
                      const std::string& kernel, const std::string& product, const Place& place,
                      const TensorRef& out) {
    place.require_here(outputs);
    place.require_here(out);
    const std::vector<Matrix> models = models_on_device(outputs);
    const Center how = named(centers, center);
    const bool rbf_normalised = named(kernels, kernel);
    const Product multiply = named(products, product);
    float* packed = output_of<float>(out, count_of(models) * pairs_of(models));
    const py::gil_scoped_release released;
    const cuda::CurrentDevice current(place.device, place.stream);
    cuda::correlation(models, how, rbf_normalised, multiply, place.scratch, current.stream(),
                      packed);
}

// ---- correlation_distance ----

auto correlation_distance_scratch(const std::vector<TensorRef>& outputs, const TensorRef& sources,
                                  const std::string& product) {
    return pair_of(cuda::correlation_distance_scratch(models_on_device(outputs), matrix_of(sources),
                                                      named(products, product)));
}

void bind_correlation_distance(const std::vector<TensorRef>& outputs, const TensorRef& sources,
                               const std::string& center, const std::string& kernel,
                               const std::string& product, const Place& place,
                               const TensorRef& out) {
    place.require_here(outputs);
    place.require_here(sources);
    place.require_here(out);
    const std::vector<Matrix> models = models_on_device(outputs);
    const Matrix packed = matrix_of(sources);
    require(models.empty() || pairs_of(models) == packed.cols, "sources of another length");
    const Center how = named(centers, center);
    const bool rbf_normalised = named(kernels, kernel);
    const Product multiply = named(products, product);
    float* distance = output_of<float>(out, count_of(models) * packed.rows);
    const py::gil_scoped_release released;
    const cuda::CurrentDevice current(place.device, place.stream);
    cuda::correlation_distance(models, packed, how, rbf_normalised, multiply, place.scratch,
                               current.stream(), distance);
}

// ---- correlation_products ----

auto correlation_products_scratch(const std::vector<TensorRef>& outputs, const TensorRef& rows,
                                  const std::vector<TensorRef>& origins) {
    return pair_of(cuda::correlation_products_scratch(models_on_device(outputs), matrix_of(rows),
                                                      models_on_device(origins)));
}

void bind_correlation_products(const std::vector<TensorRef>& outputs, const TensorRef& rows,
                               const std::vector<TensorRef>& origins, const std::string& center,
                               const Place& place, const TensorRef& out, const TensorRef& squares) {
    place.require_here(outputs);
    place.require_here(rows);
    place.require_here(origins);
    place.require_here(out);
    place.require_here(squares);
    const std::vector<Matrix> models = models_on_device(outputs);
    const std::vector<Matrix> made_of = models_on_device(origins);
    const Matrix fixed = matrix_of(rows);
    require(models.empty() || pairs_of(models) == fixed.cols, "rows of another length");
    require(made_of.empty() || count_of(made_of) + 1 == fixed.rows, "another number of origins");
    require(made_of.empty() || models.empty() || made_of[0].rows == models[0].rows,
            "origins with another number of rows");
    const Center how = named(centers, center);
    double* sums = output_of<double>(out, count_of(models) * fixed.rows);
    double* own = output_of<double>(squares, count_of(models));
    const py::gil_scoped_release released;
    const cuda::CurrentDevice current(place.device, place.stream);
    cuda::correlation_products(models, fixed, made_of, how, place.scratch, current.stream(), sums,
                               own);
}

// ---- pairwise_distance ----

Matrix float32_rows(const TensorRef& ref) {
    const Matrix rows = matrix_of(ref);
    require(rows.rows * rows.cols == 0 || in_place<float>(rows),
            "rows that are not float32 numbers one after the other");
    return rows;
}

auto pairwise_distance_scratch(const TensorRef& a, const std::optional<TensorRef>& b) {
    const Matrix left = float32_rows(a);
    const Matrix right = b ? float32_rows(*b) : left;
    return pair_of(cuda::pairwise_distance_scratch(left, b ? &right : nullptr));
}

void bind_pairwise_distance(const TensorRef& a, const std::optional<TensorRef>& b,
                            const Place& place, const TensorRef& out) {
    place.require_here(a);
    if (b) place.require_here(*b);
    place.require_here(out);
    const Matrix left = float32_rows(a);
    const Matrix right = b ? float32_rows(*b) : left;
    require(left.cols == right.cols, "rows of different lengths");
    float* distance = output_of<float>(out, left.rows * right.rows);
    const py::gil_scoped_release released;
    const cuda::CurrentDevice current(place.device, place.stream);
    cuda::pairwise_distance(left, b ? &right : nullptr, place.scratch, current.stream(), distance);
}

// ---- fri_features ----

auto fri_features_scratch(const TensorRef& probes, const TensorRef& references,
                          const std::string& product) {
    return pair_of(cuda::fri_features_scratch(
        models_on_device({probes}), models_on_device({references}), named(products, product)));
}

void bind_fri_features(const TensorRef& probes, const TensorRef& references,
                       const std::string& product, const Place& place, const TensorRef& out) {
    place.require_here(probes);
    place.require_here(references);
    place.require_here(out);
    const std::vector<Matrix> left = models_on_device({probes});
    const std::vector<Matrix> right = models_on_device({references});
    require(left.size() == right.size(), "different numbers of models");
    std::int64_t size = 0;
    for (std::size_t s = 0; s < left.size(); ++s) {
        require(left[s].cols == right[s].cols, "embeddings of different sizes");
        size += left[s].rows * right[s].rows;
    }
    const Product multiply = named(products, product);
    float* scores = output_of<float>(out, size);
    const py::gil_scoped_release released;
    const cuda::CurrentDevice current(place.device, place.stream);
    cuda::fri_features(left, right, multiply, place.scratch, current.stream(), scores);
}

// ---- facts ----

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
        entry["product"] = product_name(float32_product(device));
        found.append(entry);
    }
    py::dict answer;
    answer["devices"] = found;
    answer["reason"] = queried.reason;
    return answer;
}

py::dict build_facts() {
    py::dict facts;
    facts["version"] = SACFAST_VERSION;
    facts["architectures"] = SACFAST_CUDA_ARCHITECTURES;
    facts["toolkit"] = SACFAST_CUDA_TOOLKIT;
    return facts;
}

}  // namespace

PYBIND11_MODULE(_cuda, m) {
    m.doc() = "The CUDA kernels of sacfast; reached through sacfast.kernels only.";
    bind_tensor_ref(m)
        .def(py::init([](std::uintptr_t address, std::vector<std::int64_t> shape,
                         std::vector<std::int64_t> strides, const std::string& dtype, int device) {
                 return TensorRef(address, std::move(shape), std::move(strides),
                                  named(dtypes, dtype), device_cuda, device);
             }),
             py::arg("address"), py::arg("shape"), py::arg("strides"), py::arg("dtype"),
             py::arg("device"))
        .def_property_readonly("device", &TensorRef::device_id);
    py::class_<Place>(m, "Place", py::module_local())
        .def(py::init(&place_of), py::arg("device"), py::arg("stream"), py::arg("scratch"),
             py::arg("scratch_bytes"));
    m.def("correlation", &bind_correlation, py::arg("outputs"), py::arg("center"),
          py::arg("kernel"), py::arg("product"), py::arg("place"), py::arg("out"));
    m.def("correlation_scratch", &correlation_scratch, py::arg("outputs"), py::arg("product"));
    m.def("correlation_distance", &bind_correlation_distance, py::arg("outputs"),
          py::arg("sources"), py::arg("center"), py::arg("kernel"), py::arg("product"),
          py::arg("place"), py::arg("out"));
    m.def("correlation_distance_scratch", &correlation_distance_scratch, py::arg("outputs"),
          py::arg("sources"), py::arg("product"));
    m.def("correlation_products", &bind_correlation_products, py::arg("outputs"), py::arg("rows"),
          py::arg("origins"), py::arg("center"), py::arg("place"), py::arg("products"),
          py::arg("squares"));
    m.def("correlation_products_scratch", &correlation_products_scratch, py::arg("outputs"),
          py::arg("rows"), py::arg("origins"));
    m.def("pairwise_distance", &bind_pairwise_distance, py::arg("a"), py::arg("b"),
          py::arg("place"), py::arg("out"));
    m.def("pairwise_distance_scratch", &pairwise_distance_scratch, py::arg("a"), py::arg("b"));
    m.def("fri_features", &bind_fri_features, py::arg("probes"), py::arg("references"),
          py::arg("product"), py::arg("place"), py::arg("out"));
    m.def("fri_features_scratch", &fri_features_scratch, py::arg("probes"), py::arg("references"),
          py::arg("product"));
    m.def("devices", &devices);
    m.def("build_facts", &build_facts);
}

}  // namespace sacfast
