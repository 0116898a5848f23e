// The best turned copies of a pass (Lefebvre & Hoppe 2005): texsynth/field/turned/sweep.py
#include "binding.hpp"
#include "turned_fit.hpp"

#include <limits>

namespace {

// sweep._slid
INLINE Best slid(const Pass &task, const Query &query, const Copy &current, float *spare) {
    float *rest = spare, *down = spare + task.components, *right = down + task.components;
    const Nearest before = locate(task.planes, current);
    const Fit now = fit(task, query, before.index, current, rest);
    const Place step = slide(task, before.index, rest, down, right);
    const Copy moved = {current.plane, {current.place.y + step.y, current.place.x + step.x}, current.turn};
    const Nearest after = locate(task.planes, moved);
    if (after.inside && std::isfinite(task.price[after.index])) {
        const Fit then = fit(task, query, after.index, moved, rest);
        if (then.distance < now.distance)
            return {{moved.plane, moved.place, then.turn}, then.distance, then.distance + price_of(task, query.n, after.index)};
    }
    const float total = now.distance + price_of(task, query.n, before.index);
    return {{current.plane, current.place, now.turn}, now.distance, before.inside ? total : std::numeric_limits<float>::infinity()};
}

// sweep._attempt; `last` is what was tried before, whose distance would be the same.
INLINE void attempt(const Pass &task, const Query &query, const Copy &copy, float factor, Best &best, Index &last) {
    const Nearest near = locate(task.planes, copy);
    if (!near.inside || !std::isfinite(task.price[near.index]))
        return;
    const Facing now = facing(task, near.index, query.target, copy.turn);
    const Index number = 2 * near.index + now.back;
    if (number == last && factor == 1)
        return;
    last = number;
    const float price = price_of(task, query.n, near.index);
    if (!(price < best.total)) // a distance is never below 0
        return;
    const float *window = query.windows[now.back];
    const float distance = squared_distance(task.table + near.index * task.components, window, task.components);
    const float total = distance * factor + price;
    if (total < best.total)
        best = {{copy.plane, copy.place, now.turn}, distance, total};
}

// sweep._best_copies
INLINE Best best_copy(const Pass &task, const Query &query, float *spare) {
    const Index here = task.at[2 * query.n] * task.width + task.at[2 * query.n + 1];
    const Copy current = task.wide.at(here);
    Best best = slid(task, query, current, spare);
    Index last = -1;
    for (int dy = -1; dy <= 1; ++dy)
        for (int dx = -1; dx <= 1; ++dx) {
            if (dy == 0 && dx == 0)
                continue;
            const Copy copy = task.wide.at(here + dy * task.width + dx).moved({float(-dy), float(-dx)});
            const float apart =
                std::max(std::fabs(copy.place.y - current.place.y), std::fabs(copy.place.x - current.place.x));
            if (apart > SAME_COPY || copy.plane != current.plane || face_away(copy.turn, current.turn))
                attempt(task, query, copy, 1.0f, best, last);
        }
    const Index key = task.key[query.n], inside = key % (task.planes.rows * task.planes.row);
    const Turn turn = turn_between(turn_at(task.source, key), query.target);
    const Copy random = {key / (task.planes.rows * task.planes.row),
                         {float(inside / task.planes.row - task.planes.margin), float(inside % task.planes.row - task.planes.margin)},
                         task.back[query.n] ? Turn{-turn.x, -turn.y} : turn};
    attempt(task, query, random, task.jump, best, last = -1);
    return best;
}

FOR_EACH_PROCESSOR void find_best(const Pass &task, Index first, Index last) {
    const Index d = task.components;
    std::vector<float> spare(4 * d);
    for (Index n = first; n < last; ++n) {
        const float *windows = task.windows + n * d;
        float *mirrored = spare.data() + 3 * d;
        for (Index k = 0; k < d; ++k)
            mirrored[k] = windows[k] * task.mirror[k];
        const Best best = best_copy(task, {n, turn_at(task.target, n), {windows, mirrored}}, spare.data());
        task.plane[n] = best.copy.plane, task.distance[n] = best.distance;
        task.place[2 * n] = best.copy.place.y, task.place[2 * n + 1] = best.copy.place.x;
        task.turn[2 * n] = best.copy.turn.x, task.turn[2 * n + 1] = best.copy.turn.y;
    }
}

nb::tuple turned_copies(int threads, Array<Index, 2> plane, Array<float, 3> place, Array<float, 3> turn,
                        Array<Index, 2> at, Array<float, 2> windows, Array<float, 2> target, Array<float, 2> source,
                        Array<float, 2> table, Array<bool, 1> described, Array<float, 1> mirror, float damping,
                        Array<Index, 2> shapes, Index rows, Index row, Index margin, Array<float, 1> price, float jump,
                        Array<float, 2> guides, Array<float, 2> goal, Array<float, 2> strength, Array<Index, 1> key,
                        Array<bool, 1> back) {
    const size_t n = at.shape(0);
    Result<Index> planes = empty<Index>({n});
    Result<float> places = empty<float>({n, 2}), turns = empty<float>({n, 2}), distance = empty<float>({n});
    Pass task = {};
    task.planes = {shapes.data(), rows, row, margin}, task.wide = {plane.data(), place.data(), turn.data()};
    task.width = plane.shape(1), task.at = at.data(), task.n = n, task.windows = windows.data();
    task.target = target.data(), task.components = table.shape(1), task.source = source.data(), task.table = table.data();
    task.described = described.data(), task.mirror = mirror.data(), task.damping = damping, task.price = price.data();
    task.jump = jump, task.guides = guides.data(), task.goal = goal.data(), task.strength = strength.data();
    task.goals = guides.shape(1), task.key = key.data(), task.back = back.data();
    task.plane = planes.data(), task.place = places.data(), task.turn = turns.data(), task.distance = distance.data();
    {
        nb::gil_scoped_release released;
        in_parts(n, threads, 256, [&](Index first, Index last) { find_best(task, first, last); });
    }
    return nb::make_tuple(planes, places, turns, distance);
}

} // namespace

void bind_turned_copies(nb::module_ &module) {
    module.def("turned_copies", turned_copies);
}
