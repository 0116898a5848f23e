// Windows that turn with their direction (Zhou et al. 2023, by rotated exemplars): texsynth/field/turned/space.py
#include "binding.hpp"
#include "turns.hpp"

namespace {

struct Windows { // turned.space.sample
    const float *fine; // (height, width, C)
    Index height, width, channels;
    const float *place, *turn; // (n, 2), (n, 2)
    Index n;
    const float *grid; // (S, 2)
    Index points;
    float *out; // (n, S, C)
};

// The nearest of `length` pixels of a line, of two the second.
INLINE Index nearest(float place, Index length) {
    return Index(std::min(std::max(place + 0.5f, 0.0f), float(length - 1)));
}

FOR_EACH_PROCESSOR void sample(const Windows &task, Index first, Index last) {
    std::vector<Index> at(task.points);
    for (Index n = first; n < last; ++n) {
        const Place middle = place_at(task.place, n);
        const Turn turn = turn_at(task.turn, n);
        for (Index s = 0; s < task.points; ++s) {
            const Place offset = turned(turn, place_at(task.grid, s));
            const Index y = nearest(middle.y + offset.y, task.height), x = nearest(middle.x + offset.x, task.width);
            at[s] = y * task.width + x;
        }
        const Index channels = task.channels;
        float *out = task.out + channels * n * task.points;
        if (channels == 3)
            for (Index s = 0; s < task.points; ++s)
                std::copy_n(task.fine + 3 * at[s], 3, out + 3 * s);
        else
            for (Index s = 0; s < task.points; ++s)
                std::copy_n(task.fine + channels * at[s], channels, out + channels * s);
    }
}

Result<float> turned_windows(int threads, Array<float, 3> fine, Array<float, 2> place, Array<float, 2> turn,
                             Array<float, 2> grid) {
    Result<float> out = empty<float>({place.shape(0), grid.shape(0), fine.shape(2)});
    const Windows task = {fine.data(), Index(fine.shape(0)), Index(fine.shape(1)), Index(fine.shape(2)), place.data(),
                          turn.data(), Index(place.shape(0)), grid.data(), Index(grid.shape(0)), out.data()};
    {
        nb::gil_scoped_release released;
        in_parts(task.n, threads, 256, [&](Index first, Index last) { sample(task, first, last); });
    }
    return out;
}

} // namespace

void bind_turned_windows(nb::module_ &module) {
    module.def("turned_windows", turned_windows);
}
