#pragma once

#include <nanobind/nanobind.h>

namespace mario {

// Adds EnvSpec, EnvPool and read_state to the module.
void bind_pool(nanobind::module_& module);

// Adds Explorer and the endings of its expeditions.
void bind_explorer(nanobind::module_& module);

}  // namespace mario
