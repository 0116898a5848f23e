// What pieces cost at their seams in each of nine shifts (seams: Kwatra et al. 2003, eq. 1): texsynth/field/align.py
#include "binding.hpp"

namespace {

struct Shifts { // align.costs_of_shifts
    const Index *index, *labels; // (height, width)
    const float *colours;        // (N, 3)
    Index height, width, row, sources;
    bool wraps_y, wraps_x;
    float *cost; // (pieces, 9)
};

struct Pair { // neighbours that do not continue each other
    Index a, b, of_a, of_b;
};

INLINE const float *colour(const Shifts &task, Index source) {
    return task.colours + 3 * std::min(std::max<Index>(source, 0), task.sources - 1);
}

INLINE float meet(const Shifts &task, Index a, Index b, Index stride) {
    return (squared_difference(colour(task, a), colour(task, b - stride)) +
            squared_difference(colour(task, a + stride), colour(task, b))) /
           2;
}

// All shifts from `first` on, below `last`. The sums of a piece are taken in reading order: over seams below its pixels
// and above them, then over those to the right and to the left.
FOR_EACH_PROCESSOR void sum_costs_of_shifts(const Shifts &task, Index first, Index last) {
    std::vector<Pair> pairs;
    for (int axis = 0; axis < 2; ++axis) {
        const bool down = axis == 0;
        const Index stride = down ? task.row : 1;
        const Index height = task.height - (down && !task.wraps_y), width = task.width - (!down && !task.wraps_x);
        pairs.clear();
        for (Index y = 0; y < height; ++y)
            for (Index x = 0; x < width; ++x) {
                const Index at = y * task.width + x;
                const Index next = down ? (y + 1) % task.height * task.width + x : y * task.width + (x + 1) % task.width;
                if (task.index[next] != task.index[at] + stride)
                    pairs.push_back({task.index[at], task.index[next], task.labels[at], task.labels[next]});
            }
        for (Index s = first; s < last; ++s) {
            const Index shift = (s / 3 - 1) * task.row + s % 3 - 1;
            for (const Pair &pair : pairs)
                task.cost[pair.of_a * 9 + s] += meet(task, pair.a + shift, pair.b, stride);
            for (const Pair &pair : pairs)
                task.cost[pair.of_b * 9 + s] += meet(task, pair.a, pair.b + shift, stride);
        }
    }
}

Result<float> costs_of_shifts(int threads, Array<Index, 2> index, Array<Index, 2> labels, Index pieces,
                                     Array<float, 2> colours, Index row, bool wraps_y, bool wraps_x) {
    Result<float> cost = empty<float>({size_t(pieces), 9});
    std::fill_n(cost.data(), cost.size(), 0.0f);
    Shifts task = {};
    task.index = index.data(), task.labels = labels.data(), task.height = index.shape(0), task.width = index.shape(1);
    task.colours = colours.data(), task.sources = colours.shape(0), task.row = row;
    task.wraps_y = wraps_y, task.wraps_x = wraps_x, task.cost = cost.data();
    {
        nb::gil_scoped_release released;
        in_parts(9, threads, 1, [&](Index first, Index last) { sum_costs_of_shifts(task, first, last); });
    }
    return cost;
}

} // namespace

void bind_shifts(nb::module_ &module) {
    module.def("costs_of_shifts", costs_of_shifts);
}
