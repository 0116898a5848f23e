// Paths of least error through overlaps (Efros & Freeman 2001, "Image Quilting", section 2.1): texsynth/field/quilting.py
#include "binding.hpp"
#include "paths.hpp"

namespace {

struct Paths { // quilting.path
    const float *error; // (B, rows, columns)
    Index rows, columns;
    float slope;
    Index *at;   // (B, rows)
    float *cost; // (B,)
};

FOR_EACH_PROCESSOR void find_paths(const Paths &task, Index first, Index last) {
    const Index rows = task.rows, columns = task.columns;
    std::vector<float> total(rows * (columns + 2));
    for (Index number = first; number < last; ++number) {
        const float *error = task.error + number * rows * columns;
        Index end;
        sum_up<1>(error, rows, columns, task.slope, total.data());
        find_ends<1>(total.data(), rows, columns, &end, task.cost + number);
        trace_back<1>(error, total.data(), rows, columns, task.slope, &end, task.at + number * rows);
    }
}

nb::tuple path(int threads, Array<float, 3> error, float slope) {
    const size_t count = error.shape(0), rows = error.shape(1);
    if (rows == 0 || error.shape(2) == 0)
        throw nb::value_error("a path needs a row and a column");
    Result<Index> at = empty<Index>({count, rows});
    Result<float> cost = empty<float>({count});
    const Paths task = {error.data(), Index(rows), Index(error.shape(2)), slope, at.data(), cost.data()};
    {
        nb::gil_scoped_release released;
        in_parts(count, threads, 32, [&](Index first, Index last) { find_paths(task, first, last); });
    }
    return nb::make_tuple(at, cost);
}

} // namespace

void bind_paths(nb::module_ &module) {
    module.def("path", path);
}
