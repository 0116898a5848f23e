// A sweep of damped Jacobi (Wesseling 1988, "Cell-centered multigrid for interface problems"): texsynth/image/tone.py
#include "core.hpp"

namespace {

struct Row { // of one channel, with what its equations need
    const float *x, *above, *below, *goal, *hold, *step, *down, *down_before, *right;
    float *better;
};

INLINE void improve(const Row &row, Index at, Index left, Index next) {
    float rest = row.goal[at] - row.hold[at] * row.x[at];
    rest += (row.below[at] - row.x[at]) * row.down[at];
    rest -= (row.x[at] - row.above[at]) * row.down_before[at];
    rest += (row.x[next] - row.x[at]) * row.right[at];
    rest -= (row.x[at] - row.x[left]) * row.right[left];
    row.better[at] = rest * row.step[at] + row.x[at];
}

} // namespace

// The rows from `first` on, below `last`, of all channels one after the other.
FOR_EACH_PROCESSOR void relax(const Relaxation &task, Index first, Index last) {
    const Index width = task.width, height = task.height;
    for (Index line = first; line < last; ++line) {
        const Index y = line % height, here = y * width;
        const Index before = (y > 0 ? y - 1 : height - 1) * width, after = (y + 1) % height * width;
        const float *channel = task.x + (line - y) * width;
        const Row row = {channel + here,   channel + before,   channel + after,    task.goal + line * width,
                         task.hold + here, task.step + here,   task.down + here,   task.down + before,
                         task.right + here, task.better + line * width};
        improve(row, 0, width - 1, width > 1 ? 1 : 0);
        for (Index at = 1; at < width - 1; ++at)
            improve(row, at, at - 1, at + 1);
        if (width > 1)
            improve(row, width - 1, width - 2, 0);
    }
}
