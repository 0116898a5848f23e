// What pieces cost at their seams in each of nine shifts (seams: Kwatra et al. 2003, eq. 1): texsynth/field/align.py
#include "core.hpp"

namespace {

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

} // namespace

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
