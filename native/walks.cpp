// Where straight ways lead in frames that turn underway: texsynth/field/turned/walk.py
#include "binding.hpp"
#include "turns.hpp"

namespace {

struct Walks { // turned.walk.walk_in_source
    Planes planes;
    const float *source;  // (N, 2), the directions
    const Index *plane;   // (n,)
    const float *begin;   // (n, 2)
    const float *first;   // (n, 2)
    Index n, group;       // pieces, and how many in turn share a target
    const float *offset;  // (G, m, 2)
    const float *there;   // (G, steps, m, 2)
    Index steps, points;
    float *place, *turn; // (n, m, 2), (n, m, 2)
};

FOR_EACH_PROCESSOR void walk(const Walks &task, Index from, Index to) {
    for (Index n = from; n < to; ++n) {
        const float *offsets = task.offset + n / task.group * task.points * 2;
        const float *there = task.there + n / task.group * task.steps * task.points * 2;
        const Index plane = task.plane[n];
        for (Index m = 0; m < task.points; ++m) {
            const Place whole = place_at(offsets, m), step = {whole.y / float(task.steps), whole.x / float(task.steps)};
            Place place = place_at(task.begin, n);
            Turn turn = turn_at(task.first, n);
            for (Index k = 0; k < task.steps; ++k) {
                const Index at = task.planes.join(plane, Index(std::nearbyint(place.y)), Index(std::nearbyint(place.x)));
                Turn now = turn_between(turn_at(there, k * task.points + m), turn_at(task.source, at));
                if (face_away(now, turn))
                    now = {-now.x, -now.y};
                turn = now;
                const Place moved = turned(turn, step);
                place.y += moved.y, place.x += moved.x;
            }
            const Index out = 2 * (n * task.points + m);
            task.place[out] = place.y, task.place[out + 1] = place.x;
            task.turn[out] = turn.x, task.turn[out + 1] = turn.y;
        }
    }
}

nb::tuple walks(int threads, Array<Index, 1> plane, Array<float, 2> begin, Array<float, 2> first,
                Array<float, 3> offset, Array<float, 4> there, Array<float, 2> source, Array<Index, 2> shapes,
                Index rows, Index row, Index margin) {
    const size_t n = plane.shape(0), groups = offset.shape(0), points = offset.shape(1);
    Result<float> place = empty<float>({n, points, 2}), turn = empty<float>({n, points, 2});
    const Walks task = {{shapes.data(), rows, row, margin},
                        source.data(),
                        plane.data(),
                        begin.data(),
                        first.data(),
                        Index(n),
                        std::max<Index>(1, n / groups),
                        offset.data(),
                        there.data(),
                        Index(there.shape(1)),
                        Index(points),
                        place.data(),
                        turn.data()};
    {
        nb::gil_scoped_release released;
        const Index least = 1 + 4096 / std::max<Index>(1, points);
        in_parts(n, threads, least, [&](Index from, Index to) { walk(task, from, to); });
    }
    return nb::make_tuple(place, turn);
}

} // namespace

void bind_walks(nb::module_ &module) {
    module.def("walks", walks);
}
