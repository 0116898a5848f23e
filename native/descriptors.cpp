// Windows on their principal directions, in a table (Lefebvre & Hoppe 2005, section 3.4): texsynth/features/windows.py
#include "binding.hpp"

namespace {

struct Descriptors { // features.windows.Basis.describe
    const float *components, *mean; // (D, n), (D,)
    Index count, windows;
    float scale;
    float *table; // (n, D)
};

FOR_EACH_PROCESSOR void standardise(const Descriptors &task, Index first, Index last) {
    constexpr Index together = 64; // windows: what is read and written stays in the cache
    for (Index start = first; start < last; start += together)
        for (Index d = 0; d < task.count; ++d)
            for (Index n = start; n < std::min(start + together, last); ++n)
                task.table[n * task.count + d] = (task.components[d * task.windows + n] - task.mean[d]) * task.scale;
}

Result<float> standardised(int threads, Array<float, 2> components, Array<float, 1> mean, float scale) {
    const size_t count = components.shape(0), windows = components.shape(1);
    Result<float> table = empty<float>({windows, count});
    const Descriptors task = {components.data(), mean.data(), Index(count), Index(windows), scale, table.data()};
    {
        nb::gil_scoped_release released;
        in_parts(windows, threads, 4096, [&](Index first, Index last) { standardise(task, first, last); });
    }
    return table;
}

} // namespace

void bind_descriptors(nb::module_ &module) {
    module.def("standardised", standardised);
}
