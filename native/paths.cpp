// Paths of least error through overlaps (Efros & Freeman 2001, "Image Quilting", section 2.1): texsynth/field/quilting.py
#include "binding.hpp"

namespace {

struct Paths { // quilting.path
    const float *error; // (B, rows, columns)
    Index rows, columns;
    float slope;
    Index *at;   // (B, rows)
    float *cost; // (B,)
};

#include <limits>

namespace {

INLINE float smaller(float a, float b) { return b < a ? b : a; }

// total[row][c + 1]: the least error of a path from the top to (row, c); a wall of infinity stands on both sides.
INLINE void sum_up(const float *error, const Paths &task, float *total) {
    const Index columns = task.columns, stride = columns + 2;
    for (Index row = 0; row < task.rows; ++row) {
        float *here = total + row * stride;
        const float *above = here - stride, *e = error + row * columns;
        here[0] = here[columns + 1] = std::numeric_limits<float>::infinity();
        if (row == 0)
            std::copy(e, e + columns, here + 1);
        else if (task.slope == 0)
            for (Index c = 0; c < columns; ++c)
                here[c + 1] = e[c] + smaller(smaller(above[c], above[c + 1]), above[c + 2]);
        else
            for (Index c = 0; c < columns; ++c) {
                const float aside = smaller(smaller(above[c], above[c + 1]), above[c + 2]) + task.slope * e[c];
                here[c + 1] = e[c] + smaller(above[c + 1], aside);
            }
    }
}

} // namespace

FOR_EACH_PROCESSOR void find_paths(const Paths &task, Index first, Index last) {
    const Index rows = task.rows, columns = task.columns, stride = columns + 2;
    float *total = new float[rows * stride];
    for (Index number = first; number < last; ++number) {
        const float *error = task.error + number * rows * columns;
        sum_up(error, task, total);
        const float *bottom = total + (rows - 1) * stride + 1;
        Index at = std::min_element(bottom, bottom + columns) - bottom;
        task.cost[number] = bottom[at];
        for (Index row = rows - 1;; --row) {
            task.at[number * rows + row] = at;
            if (row == 0)
                break;
            const float aside = task.slope == 0 ? 0 : task.slope * error[row * columns + at]; // the error may be infinite
            const float *above = total + (row - 1) * stride + 1;
            const Index near[3] = {std::max<Index>(at - 1, 0), at, std::min(at + 1, columns - 1)};
            const float reached[3] = {above[near[0]] + aside, above[near[1]], above[near[2]] + aside};
            at = near[std::min_element(reached, reached + 3) - reached];
        }
    }
    delete[] total;
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
