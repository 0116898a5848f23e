// Paths of least error through a strip of rows (Efros & Freeman 2001, "Image Quilting", section 2.1), as
// texsynth.field.quilting.path finds them, for the kernels that look for one. So many strips at once are looked at as
// there are `lanes`: of each row and column one value for each of them, side by side.
#pragma once

#include "core.hpp"

#include <limits>

INLINE float smaller(float a, float b) { return b < a ? b : a; }

// total (rows, columns + 2, lanes): the least error of a path from the top to each column of `error`
// (rows, columns, lanes). A wall of infinity stands on both sides.
template <int lanes> INLINE void sum_up(const float *error, Index rows, Index columns, float slope, float *total) {
    const Index length = columns * lanes, stride = length + 2 * lanes;
    for (Index row = 0; row < rows; ++row) {
        float *here = total + row * stride;
        const float *above = here - stride, *e = error + row * length;
        std::fill_n(here, lanes, std::numeric_limits<float>::infinity());
        std::fill_n(here + lanes + length, lanes, std::numeric_limits<float>::infinity());
        here += lanes;
        if (row == 0)
            std::copy_n(e, length, here);
        else if (slope == 0)
            for (Index k = 0; k < length; ++k)
                here[k] = e[k] + smaller(smaller(above[k], above[k + lanes]), above[k + 2 * lanes]);
        else
            for (Index k = 0; k < length; ++k) {
                const float aside = smaller(smaller(above[k], above[k + lanes]), above[k + 2 * lanes]) + slope * e[k];
                here[k] = e[k] + smaller(above[k + lanes], aside);
            }
    }
}

// The column of the end of each best path, (lanes,), which is the first of those of least error, and that error.
template <int lanes>
INLINE void find_ends(const float *total, Index rows, Index columns, Index *ends, float *least) {
    const float *bottom = total + (rows - 1) * (columns + 2) * lanes + lanes;
    for (int lane = 0; lane < lanes; ++lane) {
        ends[lane] = 0;
        for (Index c = 1; c < columns; ++c)
            if (bottom[c * lanes + lane] < bottom[ends[lane] * lanes + lane])
                ends[lane] = c;
        least[lane] = bottom[ends[lane] * lanes + lane];
    }
}

// The columns (rows, lanes) of the paths that end in the columns `ends`.
template <int lanes>
INLINE void trace_back(const float *error, const float *total, Index rows, Index columns, float slope,
                       const Index *ends, Index *path) {
    std::copy_n(ends, lanes, path + (rows - 1) * lanes);
    for (Index row = rows - 1; row > 0; --row)
        for (int lane = 0; lane < lanes; ++lane) {
            const Index at = path[row * lanes + lane];
            const float *above = total + (row - 1) * (columns + 2) * lanes + lanes + lane;
            // The error may be infinite.
            const float aside = slope == 0 ? 0 : slope * error[(row * columns + at) * lanes + lane];
            const Index left = std::max<Index>(at - 1, 0), right = std::min(at + 1, columns - 1);
            const float straight = above[at * lanes], other = above[right * lanes] + aside;
            float least = above[left * lanes] + aside;
            Index best = left;
            best = straight < least ? at : best;
            least = smaller(least, straight);
            path[(row - 1) * lanes + lane] = other < least ? right : best;
        }
}
