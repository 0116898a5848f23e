// What the bindings share: tensors as arrays, in and out without copies.
#pragma once

#include "core.hpp"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

namespace nb = nanobind;

template <class T, int dimensions>
using Array = nb::ndarray<const T, nb::ndim<dimensions>, nb::c_contig, nb::device::cpu>;
template <class T> using Result = nb::ndarray<nb::pytorch, T, nb::c_contig>;

// A new tensor, of whatever is in the memory.
template <class T> Result<T> empty(std::initializer_list<size_t> shape) {
    size_t count = 1;
    for (size_t n : shape)
        count *= n;
    T *data = new T[count];
    return Result<T>(data, shape, nb::capsule(data, [](void *p) noexcept { delete[] static_cast<T *>(p); }));
}
