// The descriptors of source pixels: texsynth/field/space.py
#include "binding.hpp"
#include "windows.hpp"

namespace {

struct Descriptors { // space.describe
    const std::int16_t *colours; // (N, C)
    Index row;
    const bool *wanted; // (N,)
    float *table;       // (N, D)
};

FOR_EACH_PROCESSOR void describe(const Descriptors &task, const Directions &directions, Index first, Index last) {
    const Index patch = directions.patch, channels = directions.channels, length = channels * patch;
    std::vector<std::int16_t> window(directions.length, 0);
    std::vector<std::int32_t> sums(directions.rows());
    for (Index n = first; n < last; ++n) {
        float *descriptor = task.table + n * directions.count;
        if (!task.wanted[n]) {
            std::fill_n(descriptor, directions.count, 0.0f);
            continue;
        }
        const std::int16_t *corner = task.colours + channels * (n - patch / 2 * (task.row + 1));
        for (Index y = 0; y < patch; ++y)
            std::copy_n(corner + channels * y * task.row, length, window.data() + y * length);
        project(directions, window.data(), sums.data(), descriptor);
    }
}

// The wanted pixels have a whole window in the table.
Result<float> described(int threads, Array<std::int16_t, 2> colours, Array<std::int16_t, 2> weights,
                        Array<float, 1> centre, float unit, Index patch, Index row, Array<bool, 1> wanted) {
    const Directions directions(weights.data(), centre.data(), unit, weights.shape(0), patch, colours.shape(1));
    Result<float> table = empty<float>({wanted.shape(0), weights.shape(0)});
    const Descriptors task = {colours.data(), row, wanted.data(), table.data()};
    {
        nb::gil_scoped_release released;
        in_parts(wanted.shape(0), threads, 512,
                 [&](Index first, Index last) { describe(task, directions, first, last); });
    }
    return table;
}

} // namespace

void bind_descriptors(nb::module_ &module) {
    module.def("described", described);
}
