// A sweep of damped Jacobi (Wesseling 1988, "Cell-centered multigrid for interface problems"): texsynth/image/tone.py
#include "binding.hpp"

namespace {

struct Relaxation { // image.tone._swept
    const float *down, *right, *hold, *step; // (h, w)
    const float *goal, *x;                   // (C, h, w)
    Index height, width;
    float *better; // (C, h, w)
};

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

Result<float> relaxed(int threads, Array<float, 4> down, Array<float, 4> right, Array<float, 4> hold,
                             Array<float, 4> step, Array<float, 4> x, Array<float, 4> goal, int sweeps) {
    const size_t channels = x.shape(1), height = x.shape(2), width = x.shape(3);
    Result<float> now = empty<float>({1, channels, height, width}), next = empty<float>({1, channels, height, width});
    {
        nb::gil_scoped_release released;
        std::copy_n(x.data(), x.size(), now.data());
        for (int sweep = 0; sweep < sweeps; ++sweep) {
            const Relaxation task = {down.data(), right.data(), hold.data(),   step.data(), goal.data(),
                                     now.data(),  Index(height), Index(width), next.data()};
            const Index least = 1 + (1 << 15) / Index(width);
            in_parts(channels * height, threads, least, [&](Index first, Index last) { relax(task, first, last); });
            std::swap(now, next);
        }
    }
    return now;
}

} // namespace

void bind_relax(nb::module_ &module) {
    module.def("relaxed", relaxed);
}
