// Paths of least error through a strip of rows (Efros & Freeman 2001, "Image Quilting", section 2.1), as
// texsynth.field.quilting.path finds them, for the kernels that look for one.
#pragma once

#include "core.hpp"

#include <limits>

INLINE float smaller(float a, float b) { return b < a ? b : a; }

// total[row][c + 1], with rows of columns + 2: the least error of a path from the top to (row, c) in `error`
// (rows, columns). A wall of infinity stands on both sides.
INLINE void sum_up(const float *error, Index rows, Index columns, float slope, float *total) {
    const Index stride = columns + 2;
    for (Index row = 0; row < rows; ++row) {
        float *here = total + row * stride;
        const float *above = here - stride, *e = error + row * columns;
        here[0] = here[columns + 1] = std::numeric_limits<float>::infinity();
        if (row == 0)
            std::copy(e, e + columns, here + 1);
        else if (slope == 0)
            for (Index c = 0; c < columns; ++c)
                here[c + 1] = e[c] + smaller(smaller(above[c], above[c + 1]), above[c + 2]);
        else
            for (Index c = 0; c < columns; ++c) {
                const float aside = smaller(smaller(above[c], above[c + 1]), above[c + 2]) + slope * e[c];
                here[c + 1] = e[c] + smaller(above[c + 1], aside);
            }
    }
}

// The column of the end of the best path, which is the first of those of least error.
INLINE Index best_end(const float *total, Index rows, Index columns) {
    const float *bottom = total + (rows - 1) * (columns + 2) + 1;
    return std::min_element(bottom, bottom + columns) - bottom;
}

// The columns (rows,) of the path that ends in the column `at`.
INLINE void trace_back(const float *error, const float *total, Index rows, Index columns, float slope, Index at,
                       Index *path) {
    for (Index row = rows - 1;; --row) {
        path[row] = at;
        if (row == 0)
            break;
        const float aside = slope == 0 ? 0 : slope * error[row * columns + at]; // the error may be infinite
        const float *above = total + (row - 1) * (columns + 2) + 1;
        const Index near[3] = {std::max<Index>(at - 1, 0), at, std::min(at + 1, columns - 1)};
        const float reached[3] = {above[near[0]] + aside, above[near[1]], above[near[2]] + aside};
        at = near[std::min_element(reached, reached + 3) - reached];
    }
}
