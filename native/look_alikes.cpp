// Look-alikes of source pixels (Tong et al. 2002, k-coherence): texsynth/field/space.py
#include "core.hpp"

#include <cmath>
#include <limits>

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
            const Index best = std::min_element(left.begin(), left.end()) - left.begin();
            task.picks[n * task.count + k] = best;
            centre = task.at_keys + 2 * best;
        }
    }
}
