// bind_core.cpp: the module _core. Conversion of arguments and release of the GIL; no maths.
//
// The package's Python functions check arguments and word the errors; what is checked again here
// keeps a wrong call from reading memory that isn't there.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "bind_arguments.h"
#include "cpu/compact.h"
#include "cpu/correlation.h"
#include "cpu/correlation_distance.h"
#include "cpu/correlation_products.h"
#include "cpu/fri_features.h"
#include "cpu/inner_products.h"
#include "cpu/label_correlation.h"
#include "cpu/level.h"
#include "cpu/pairwise_distance.h"
#include "cpu/spd_inverse.h"
#include "cpu/usable_rows.h"
#include "dlpack.h"
#include "tensor_ref.h"

namespace py = pybind11;

namespace sacfast {
namespace {

const std::map<std::string, Kernel> kernels = {
    {"cosine", Kernel::cosine}, {"rbf", Kernel::rbf}, {"rbf_normalised", Kernel::rbf_normalised}};

CorrelationKind kind_of(const std::string& center, const std::string& kernel,
                        std::optional<double> sigma) {
    return {named(centers, center), named(kernels, kernel), sigma.value_or(0.0)};
}

void bind_correlation(const std::vector<TensorRef>& outputs, const std::string& center,
                      const std::string& kernel, std::optional<double> sigma, int threads,
                      const TensorRef& out) {
    const std::vector<Matrix> models = models_of(outputs);
    const CorrelationKind kind = kind_of(center, kernel, sigma);
    float* packed = out.output<float>(static_cast<std::int64_t>(models.size()) * pairs_of(models));
    const py::gil_scoped_release released;
    correlation(models, kind, threads, packed);
}

Matrix one_row(const Vector& v) { return {v.data, 1, v.size, 0, v.stride, v.dtype}; }

void bind_label_correlation(const TensorRef& labels, int threads, const TensorRef& out) {
    const Matrix all = labels.shape().size() == 1 ? one_row(labels.vector()) : labels.matrix();
    float* packed = out.output<float>(all.rows * (all.cols * (all.cols - 1) / 2));
    const py::gil_scoped_release released;
    label_correlation(all, threads, packed);
}

void bind_label_distance(const TensorRef& a, const std::optional<TensorRef>& b, int threads,
                         const TensorRef& out) {
    const Matrix left = a.matrix();
    const Matrix right = b ? b->matrix() : left;
    require(left.cols == right.cols && left.cols >= 2, "rows of different lengths, or no pairs");
    float* distance = out.output<float>(left.rows * right.rows);
    const py::gil_scoped_release released;
    label_distance(left, b ? &right : nullptr, threads, distance);
}

void bind_pairwise_distance(const TensorRef& a, const std::optional<TensorRef>& b, int threads,
                            const TensorRef& out) {
    const Matrix left = a.matrix();
    const Matrix right = b ? b->matrix() : left;
    require(left.cols == right.cols, "rows of different lengths");
    float* distance = out.output<float>(left.rows * right.rows);
    const py::gil_scoped_release released;
    pairwise_distance(left, b ? &right : nullptr, threads, distance);
}

std::unique_ptr<CompactRows> bind_compact(const TensorRef& rows, int threads) {
    const Matrix matrix = rows.matrix();
    require(matrix.cols > 0, "rows without numbers");
    const py::gil_scoped_release released;
    return std::make_unique<CompactRows>(matrix, threads);
}

struct Within {
    std::vector<PairWithin> pairs;
};

std::unique_ptr<Within> bind_pairs_within(const TensorRef& a, const CompactRows* compact_a,
                                          const std::optional<TensorRef>& b,
                                          const CompactRows* compact_b, double threshold,
                                          int threads) {
    const Matrix left = a.matrix();
    const Matrix right = b ? b->matrix() : left;
    const auto fits = [](const CompactRows* compact, const Matrix& rows) {
        return compact == nullptr ||
               (compact->count() == rows.rows && compact->pairs() == rows.cols);
    };
    require(left.cols == right.cols && left.cols > 0, "rows of different lengths, or of none");
    require(fits(compact_a, left) && fits(compact_b, right), "the compact form of other rows");
    require(!b || (compact_a == nullptr) == (compact_b == nullptr), "one compact form of two");
    const py::gil_scoped_release released;
    return std::make_unique<Within>(Within{pairs_within(
        left, compact_a, b ? &right : nullptr, compact_b, static_cast<float>(threshold), threads)});
}

void write_within(const Within& found, const TensorRef& pairs, const TensorRef& distance) {
    const std::int64_t count = static_cast<std::int64_t>(found.pairs.size());
    std::int64_t* indices = pairs.output<std::int64_t>(2 * count);
    float* distances = distance.output<float>(count);
    for (const PairWithin& one : found.pairs) {
        *indices++ = one.i;
        *indices++ = one.j;
        *distances++ = one.distance;
    }
}

void bind_correlation_distance(const std::vector<TensorRef>& outputs, const TensorRef& sources,
                               const std::string& center, const std::string& kernel,
                               std::optional<double> sigma, int threads, const TensorRef& out) {
    const std::vector<Matrix> models = models_of(outputs);
    const Matrix packed = sources.matrix();
    const CorrelationKind kind = kind_of(center, kernel, sigma);
    require(models.empty() || pairs_of(models) == packed.cols, "sources of another length");
    float* distance = out.output<float>(static_cast<std::int64_t>(models.size()) * packed.rows);
    const py::gil_scoped_release released;
    correlation_distance(models, packed, kind, threads, distance);
}

void bind_fri_features(const TensorRef& probes, const TensorRef& references, int threads,
                       const TensorRef& out) {
    const std::vector<Matrix> left = models_of({probes}), right = models_of({references});
    require(left.size() == right.size(), "different numbers of models");
    std::int64_t size = 0;
    for (std::size_t s = 0; s < left.size(); ++s) {
        require(left[s].cols == right[s].cols, "embeddings of different sizes");
        size += left[s].rows * right[s].rows;
    }
    float* scores = out.output<float>(size);
    const py::gil_scoped_release released;
    fri_features(left, right, threads, scores);
}

void bind_correlation_products(const std::vector<TensorRef>& outputs, const TensorRef& rows,
                               const std::vector<TensorRef>& origins, const std::string& center,
                               int threads, const TensorRef& products, const TensorRef& squares) {
    const std::vector<Matrix> models = models_of(outputs), made_of = models_of(origins);
    const Matrix fixed = rows.matrix();
    const std::int64_t count = static_cast<std::int64_t>(models.size());
    require(models.empty() || pairs_of(models) == fixed.cols, "rows of another length");
    require(made_of.empty() || static_cast<std::int64_t>(made_of.size()) + 1 == fixed.rows,
            "another number of origins");
    require(made_of.empty() || models.empty() || made_of[0].rows == models[0].rows,
            "origins with another number of rows");
    double* out = products.output<double>(count * fixed.rows);
    double* own = squares.output<double>(count);
    const Center how = named(centers, center);
    const py::gil_scoped_release released;
    correlation_products(models, fixed, made_of, how, threads, out, own);
}

void bind_usable_rows(const std::vector<TensorRef>& outputs, bool constants, int threads,
                      const TensorRef& usable, const TensorRef& same) {
    const std::vector<Matrix> models = models_of(outputs);
    const std::int64_t count = static_cast<std::int64_t>(models.size());
    std::uint8_t* rows = usable.output<std::uint8_t>(count ? count * models[0].rows : 0);
    std::uint8_t* all = same.output<std::uint8_t>(count);
    const py::gil_scoped_release released;
    usable_rows(models, constants, threads, rows, all);
}

void bind_inner_products(const TensorRef& a, const TensorRef& b, int threads,
                         const TensorRef& out) {
    const Matrix left = a.matrix(), right = b.matrix();
    require(left.cols == right.cols, "rows of different lengths");
    double* products = out.output<double>(left.rows * right.rows);
    const py::gil_scoped_release released;
    inner_products(left, right, threads, products);
}

std::int64_t bind_spd_inverse(const TensorRef& a, const TensorRef& out) {
    const Matrix matrix = a.matrix();
    require(matrix.rows == matrix.cols, "not a square matrix");
    double* inverse = out.output<double>(matrix.rows * matrix.cols);
    const py::gil_scoped_release released;
    return spd_inverse(matrix, inverse);
}

// An unversioned or versioned DLPack capsule. The capsule keeps ownership: it has to outlive the
// reference, and frees the memory itself when it dies.
TensorRef ref_of_capsule(const py::capsule& capsule) {
    const char* name = capsule.name();
    const bool versioned = name != nullptr && std::string(name) == "dltensor_versioned";
    require(versioned || (name != nullptr && std::string(name) == "dltensor"),
            "not a DLPack capsule");
    const dlpack::Tensor* tensor;
    if (versioned) {
        const auto* managed = capsule.get_pointer<dlpack::ManagedTensorVersioned>();
        require(managed->major == 1, "a DLPack version other than 1");
        tensor = &managed->tensor;
    } else {
        tensor = &capsule.get_pointer<dlpack::ManagedTensor>()->tensor;
    }
    static const std::map<std::pair<int, int>, DType> types = {
        {{0, 8}, DType::int8},     {{0, 16}, DType::int16},   {{0, 32}, DType::int32},
        {{0, 64}, DType::int64},   {{1, 8}, DType::uint8},    {{1, 16}, DType::uint16},
        {{1, 32}, DType::uint32},  {{1, 64}, DType::uint64},  {{2, 16}, DType::float16},
        {{2, 32}, DType::float32}, {{2, 64}, DType::float64}, {{4, 16}, DType::bfloat16},
        {{6, 8}, DType::boolean},
    };
    const auto type = types.find({tensor->code, tensor->bits});
    if (type == types.end() || tensor->lanes != 1) {
        throw py::type_error("DLPack type code " + std::to_string(tensor->code) + ", " +
                             std::to_string(tensor->bits) + " bits, " +
                             std::to_string(tensor->lanes) + " lanes");
    }
    require(tensor->device == device_cpu || tensor->device == device_cuda_host,
            "memory that the CPU can't read");
    require(tensor->ndim >= 0, "a negative number of axes");
    const std::int64_t item = item_size(type->second);
    const std::size_t axes = static_cast<std::size_t>(tensor->ndim);
    std::vector<std::int64_t> shape(tensor->shape, tensor->shape + axes), strides(axes);
    std::int64_t running = item;  // no strides: the elements lie one after the other
    for (std::size_t axis = axes; axis-- > 0;) {
        strides[axis] = running;
        bool beyond = __builtin_mul_overflow(running, shape[axis], &running);
        if (tensor->strides) {
            beyond = __builtin_mul_overflow(tensor->strides[axis], item, &strides[axis]);
        }
        require(!beyond, "an offset that does not fit into 64 bits");
    }
    const auto address = reinterpret_cast<std::uintptr_t>(tensor->data) + tensor->byte_offset;
    return TensorRef(address, std::move(shape), std::move(strides), type->second, tensor->device,
                     tensor->device_id);
}

std::vector<std::string> level_names() {
    std::vector<std::string> names;
    for (const Level one : levels()) names.push_back(level_name(one));
    return names;
}

void use_level_named(const std::string& name) {
    for (const Level one : levels()) {
        if (level_name(one) == name) return use_level(one);
    }
    throw std::invalid_argument("use_level: not a level that this processor can run: " + name);
}

py::dict build_facts() {
    py::dict facts;
    facts["compiler"] = SACFAST_COMPILER;
    facts["processor"] = SACFAST_PROCESSOR;
    facts["build_type"] = SACFAST_BUILD_TYPE;
    facts["cuda"] = SACFAST_CUDA_STATE;
    return facts;
}

}  // namespace

PYBIND11_MODULE(_core, m) {
    m.doc() = "The CPU kernels of sacfast; reached through sacfast.kernels only.";
    bind_tensor_ref(m)
        .def(py::init([](std::uintptr_t address, std::vector<std::int64_t> shape,
                         std::vector<std::int64_t> strides, const std::string& dtype) {
                 return TensorRef(address, std::move(shape), std::move(strides),
                                  named(dtypes, dtype), device_cpu, 0);
             }),
             py::arg("address"), py::arg("shape"), py::arg("strides"), py::arg("dtype"))
        .def_static("from_dlpack", &ref_of_capsule, py::arg("capsule"));
    m.def("correlation", &bind_correlation, py::arg("outputs"), py::arg("center"),
          py::arg("kernel"), py::arg("sigma"), py::arg("threads"), py::arg("out"));
    m.def("label_correlation", &bind_label_correlation, py::arg("labels"), py::arg("threads"),
          py::arg("out"));
    m.def("label_distance", &bind_label_distance, py::arg("a"), py::arg("b"), py::arg("threads"),
          py::arg("out"));
    m.def("pairwise_distance", &bind_pairwise_distance, py::arg("a"), py::arg("b"),
          py::arg("threads"), py::arg("out"));
    py::class_<CompactRows>(m, "CompactRows")
        .def(py::init(&bind_compact), py::arg("rows"), py::arg("threads"));
    py::class_<Within>(m, "Within")
        .def("__len__", [](const Within& found) { return found.pairs.size(); })
        .def("write", &write_within, py::arg("pairs"), py::arg("distance"));
    m.def("pairs_within", &bind_pairs_within, py::arg("a"), py::arg("compact_a"), py::arg("b"),
          py::arg("compact_b"), py::arg("threshold"), py::arg("threads"));
    m.def("correlation_distance", &bind_correlation_distance, py::arg("outputs"),
          py::arg("sources"), py::arg("center"), py::arg("kernel"), py::arg("sigma"),
          py::arg("threads"), py::arg("out"));
    m.def("fri_features", &bind_fri_features, py::arg("probes"), py::arg("references"),
          py::arg("threads"), py::arg("out"));
    m.def("inner_products", &bind_inner_products, py::arg("a"), py::arg("b"), py::arg("threads"),
          py::arg("out"));
    m.def("correlation_products", &bind_correlation_products, py::arg("outputs"), py::arg("rows"),
          py::arg("origins"), py::arg("center"), py::arg("threads"), py::arg("products"),
          py::arg("squares"));
    m.def("usable_rows", &bind_usable_rows, py::arg("outputs"), py::arg("constants"),
          py::arg("threads"), py::arg("usable"), py::arg("same"));
    m.def("spd_inverse", &bind_spd_inverse, py::arg("a"), py::arg("out"));
    m.def("build_facts", &build_facts);
    m.def("levels", &level_names);
    m.def("level", [] { return level_name(level()); });
    m.def("use_level", &use_level_named, py::arg("name"));
}

}  // namespace sacfast
