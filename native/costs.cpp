// What the seams of a quilt cost (Kwatra et al. 2003, "Graphcut Textures", eq. 1): texsynth/field/recut.py
#include "binding.hpp"

namespace {

struct Costs { // recut.seams
    const float *colours; // (N, C)
    Index channels;
    const Index *index;   // (height, width)
    Index sources, height, width, row;
    bool wraps_y, wraps_x;
    float *cost; // (height * width,)
};

// The price of the source pixels `a` and `b` as neighbours that are `stride` apart in the atlas; 0 where they are.
INLINE float meet(const Costs &task, Index a, Index b, Index stride) {
    if (b == a + stride)
        return 0;
    const Index before = std::max<Index>(b - stride, 0), after = std::min(a + stride, task.sources - 1);
    const Index c = task.channels;
    return (squared_difference(task.colours + c * a, task.colours + c * before, c) +
            squared_difference(task.colours + c * after, task.colours + c * b, c)) /
           2;
}

FOR_EACH_PROCESSOR void sum_costs(const Costs &task, Index first, Index last) {
    const Index height = task.height, width = task.width;
    for (Index y = first; y < last; ++y) {
        const Index *here = task.index + y * width, *below = task.index + (y + 1) % height * width;
        const bool meets = y + 1 < height || task.wraps_y;
        float *cost = task.cost + y * width;
        for (Index x = 0; x < width; ++x)
            cost[x] = meets ? meet(task, here[x], below[x], task.row) : 0;
        for (Index x = 0; x + 1 < width; ++x)
            cost[x] += meet(task, here[x], here[x + 1], 1);
        if (task.wraps_x)
            cost[width - 1] += meet(task, here[width - 1], here[0], 1);
    }
}

Result<float> costs_of_seams(int threads, Array<float, 2> colours, Array<Index, 2> index, Index row, bool wraps_y,
                             bool wraps_x) {
    Result<float> cost = empty<float>({index.size()});
    const Costs task = {colours.data(), Index(colours.shape(1)), index.data(), Index(colours.shape(0)),
                        Index(index.shape(0)), Index(index.shape(1)), row, wraps_y, wraps_x, cost.data()};
    {
        nb::gil_scoped_release released;
        in_parts(task.height, threads, 64, [&](Index first, Index last) { sum_costs(task, first, last); });
    }
    return cost;
}

} // namespace

void bind_costs(nb::module_ &module) {
    module.def("costs_of_seams", costs_of_seams);
}
