// class_panels.h: the unit rows of several models side by side, class by class.
//
//   in   models  S matrices [N, C_s]  device memory, any floating-point type and strides; C <= 64
//   out  panels  [groups][N'][64]     float32; N' = N rounded up to a multiple of 64
//
// As many models as fit lie in the 64 columns of a group, in their order. Rows beyond N and columns
// of no model are 0.
#pragma once

#include <cstdint>
#include <vector>

#include "center.h"
#include "cuda/launch.h"
#include "cuda/unit_rows.h"
#include "tensor_ref.h"

namespace sacfast::cuda {

constexpr std::int64_t most_classes = 64;  // of a model, and of the models that lie side by side

struct ClassPanels {  // device addresses
    UnitRows units;
    const std::int32_t* first_model;   // [groups + 1]
    const std::int32_t* first_column;  // [models], in the group's panel
    float* panels;
    int groups;
};

// How many groups the models make.
std::int64_t class_groups(const std::vector<Matrix>& models);

// Scratch for all of some models: the fixed bytes and those of every model. `class_panels` takes it
// from the front of `scratch`.
std::int64_t class_panels_fixed_bytes(std::int64_t rows);
std::int64_t class_panels_model_bytes(const Matrix& model);

ClassPanels class_panels(const std::vector<Matrix>& models, Center center, Scratch scratch,
                         Stream stream);

}  // namespace sacfast::cuda
