// Look-alikes of source pixels (Tong et al. 2002, k-coherence): texsynth/field/space.py
#include "binding.hpp"

#include <cmath>
#include <limits>

namespace {

struct Around { // space.finer_look_alikes
    const float *table; // (N, components)
    Index components, row;
    const Index *asking, *centre; // (n,)
    const bool *described;        // (N,)
    Index *pick;                  // (n,)
};

struct Apart { // space.look_alikes
    const float *distance; // (n, m)
    Index keys, count;
    const float *at, *at_keys; // (n, 2), (m, 2)
    float apart;
    Index *picks; // (n, count)
};

// The nearest described window of the nine round each centre; the pixel itself where none is.
FOR_EACH_PROCESSOR void find_around(const Around &task, Index first, Index last) {
    for (Index n = first; n < last; ++n) {
        const float *query = task.table + task.asking[n] * task.components;
        float best = std::numeric_limits<float>::infinity();
        task.pick[n] = task.asking[n];
        for (int dy = -1; dy <= 1; ++dy)
            for (int dx = -1; dx <= 1; ++dx) {
                const Index near = task.centre[n] + dy * task.row + dx;
                if (!task.described[near])
                    continue;
                const float distance = squared_distance(task.table + near * task.components, query, task.components);
                if (distance < best) {
                    best = distance;
                    task.pick[n] = near;
                }
            }
    }
}

// The nearest keys of each pixel, none of them near it nor near another of its keys.
FOR_EACH_PROCESSOR void find_apart(const Apart &task, Index first, Index last) {
    std::vector<float> left(task.keys);
    for (Index n = first; n < last; ++n) {
        std::copy_n(task.distance + n * task.keys, task.keys, left.data());
        const float *centre = task.at + 2 * n;
        for (Index k = 0; k < task.count; ++k) {
            for (Index key = 0; key < task.keys; ++key) {
                const float y = std::fabs(task.at_keys[2 * key] - centre[0]);
                const float x = std::fabs(task.at_keys[2 * key + 1] - centre[1]);
                left[key] = (y > x ? y : x) < task.apart ? std::numeric_limits<float>::infinity() : left[key];
            }
            const Index best = first_least(left.data(), task.keys);
            task.picks[n * task.count + k] = best;
            centre = task.at_keys + 2 * best;
        }
    }
}

Result<Index> best_around(int threads, Array<float, 2> table, Array<Index, 1> asking, Array<Index, 1> centre,
                                 Index row, Array<bool, 1> described) {
    Result<Index> pick = empty<Index>({asking.shape(0)});
    const Around task = {table.data(), Index(table.shape(1)), row, asking.data(), centre.data(), described.data(), pick.data()};
    {
        nb::gil_scoped_release released;
        in_parts(asking.shape(0), threads, 512, [&](Index first, Index last) { find_around(task, first, last); });
    }
    return pick;
}

Result<Index> nearest_apart(int threads, Array<float, 2> distance, Array<float, 2> at, Array<float, 2> at_keys,
                                   Index count, float apart) {
    Result<Index> picks = empty<Index>({distance.shape(0), size_t(count)});
    const Apart task = {distance.data(), Index(distance.shape(1)), count, at.data(), at_keys.data(), apart, picks.data()};
    {
        nb::gil_scoped_release released;
        in_parts(distance.shape(0), threads, 16, [&](Index first, Index last) { find_apart(task, first, last); });
    }
    return picks;
}

} // namespace

void bind_look_alikes(nb::module_ &module) {
    module.def("best_around", best_around);
    module.def("nearest_apart", nearest_apart);
}
