// Values between pixels (Keys 1981, "Cubic convolution interpolation"): texsynth/field/geometry.py
#include "binding.hpp"

namespace {

struct Cubic { // geometry.cubic
    const float *table; // (N, C)
    Index pixels, channels, row;
    const Index *first; // (n,)
    const float *part;  // (n, 2)
    float *out;         // (n, C)
};

INLINE void keys_weights(float t, float *weights) {
    weights[0] = ((2 - t) * t - 1) * t / 2;
    weights[1] = ((3 * t - 5) * t * t + 2) / 2;
    weights[2] = ((4 - 3 * t) * t + 1) * t / 2;
    weights[3] = (t - 1) * t * t / 2;
}

FOR_EACH_PROCESSOR void interpolate(const Cubic &task, Index begin, Index end) {
    const Index channels = task.channels, last = task.pixels - 1;
    for (Index n = begin; n < end; ++n) {
        float down[4], across[4], weights[16];
        const float *around[16];
        keys_weights(task.part[2 * n], down), keys_weights(task.part[2 * n + 1], across);
        for (int dy = 0; dy < 4; ++dy)
            for (int dx = 0; dx < 4; ++dx) {
                const Index at = task.first[n] + (dy - 1) * task.row + dx - 1;
                weights[4 * dy + dx] = down[dy] * across[dx];
                around[4 * dy + dx] = task.table + std::min(std::max<Index>(at, 0), last) * channels;
            }
        for (Index c = 0; c < channels; ++c) {
            float sum = 0;
            for (int k = 0; k < 16; ++k)
                sum += weights[k] * around[k][c];
            const float near[4] = {around[5][c], around[6][c], around[9][c], around[10][c]};
            const float low = *std::min_element(near, near + 4), high = *std::max_element(near, near + 4);
            task.out[n * channels + c] = std::min(std::max(sum, low), high);
        }
    }
}

Result<float> cubic(int threads, Array<float, 2> table, Index row, Array<Index, 1> first, Array<float, 2> part) {
    Result<float> out = empty<float>({first.shape(0), table.shape(1)});
    const Cubic task = {table.data(), Index(table.shape(0)), Index(table.shape(1)), row, first.data(), part.data(), out.data()};
    {
        nb::gil_scoped_release released;
        in_parts(first.shape(0), threads, 1024, [&](Index begin, Index end) { interpolate(task, begin, end); });
    }
    return out;
}

} // namespace

void bind_cubic(nb::module_ &module) {
    module.def("cubic", cubic);
}
