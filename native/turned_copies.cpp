// The best turned copies of a pass (Lefebvre & Hoppe 2005; Lucas & Kanade 1981): texsynth/field/turned/sweep.py
#include "binding.hpp"
#include "turns.hpp"

#include <limits>

namespace {

constexpr float SAME_COPY = 0.5f; // as in turned/sweep.py

struct Pass { // turned.sweep._best_copies
    Planes planes;
    Copies wide; // (height, width)
    Index width;
    const Index *at; // (n, 2)
    Index n;
    const float *windows, *target; // (n, D), (n, 2)
    Index components;
    const float *source; // (N, 2), the directions
    const float *table;  // (N, D)
    const bool *described; // (N,)
    const float *mirror;   // (D,)
    float damping;
    const float *price; // (N,)
    float jump;
    const float *guides, *goal, *strength; // (N, G), (n, G), (n, G)
    Index goals;
    const Index *key; // (n,)
    const bool *back; // (n,)
    Index *plane;     // (n,)
    float *place, *turn, *distance; // (n, 2), (n, 2), (n,)
};

struct Fit {
    float distance;
    Turn turn;
};

struct Best {
    Copy copy;
    float distance, total;
};

struct Query { // of one pixel
    Index n;
    Turn target;
    const float *windows[2]; // as it is, and turned by half a turn
};

struct Facing {
    Turn turn;
    bool back;
};

INLINE float price_of(const Pass &task, Index n, Index source) {
    float price = 0;
    for (Index g = 0; g < task.goals; ++g) {
        const float missed = task.guides[source * task.goals + g] - task.goal[n * task.goals + g];
        price += missed * missed * task.strength[n * task.goals + g];
    }
    return task.price[source] + price;
}

// space.Frames.facing
INLINE Facing facing(const Pass &task, Index index, Turn target, Turn before) {
    const Turn turn = turn_between(turn_at(task.source, index), target);
    const bool back = face_away(turn, before);
    return {back ? Turn{-turn.x, -turn.y} : turn, back};
}

// Adds the descriptor of `index`, in the frame of `to`, times `share`: space.aligned.
INLINE void add_aligned(const Pass &task, Index index, Index to, float share, float *sum) {
    const float *values = task.table + index * task.components;
    if (face_away(turn_at(task.source, index), turn_at(task.source, to)))
        for (Index d = 0; d < task.components; ++d)
            sum[d] += share * (values[d] * task.mirror[d]);
    else
        for (Index d = 0; d < task.components; ++d)
            sum[d] += share * values[d];
}

// space.between
INLINE void describe_between(const Pass &task, Index index, const Copy &copy, float *out) {
    const float top = std::floor(copy.place.y), left = std::floor(copy.place.x);
    const float down = copy.place.y - top, across = copy.place.x - left;
    std::fill(out, out + task.components, 0.0f);
    float weight = 0;
    for (int dy = 0; dy < 2; ++dy)
        for (int dx = 0; dx < 2; ++dx) {
            const Index corner = task.planes.join(copy.plane, Index(top) + dy, Index(left) + dx);
            const float share = (dy ? down : 1 - down) * (dx ? across : 1 - across) * task.described[corner];
            if (share != 0)
                add_aligned(task, corner, index, share, out);
            weight += share;
        }
    weight = std::max(weight, 1e-6f);
    for (Index d = 0; d < task.components; ++d)
        out[d] /= weight;
}

// sweep._fit; `rest` receives the differences of the descriptors.
INLINE Fit fit(const Pass &task, const Query &query, Index index, const Copy &copy, float *rest) {
    const Facing now = facing(task, index, query.target, copy.turn);
    describe_between(task, index, copy, rest);
    const float distance = squared_distance(query.windows[now.back], rest, task.components);
    for (Index d = 0; d < task.components; ++d)
        rest[d] = query.windows[now.back][d] - rest[d];
    return {distance, now.turn};
}

// space.slopes, along a step in the atlas
INLINE void slope(const Pass &task, Index index, Index step, float *out) {
    const Index ahead = index + step, behind = index - step;
    std::fill(out, out + task.components, 0.0f);
    if (!task.described[ahead] || !task.described[behind])
        return;
    add_aligned(task, ahead, index, 1.0f, out);
    add_aligned(task, behind, index, -1.0f, out);
    for (Index d = 0; d < task.components; ++d)
        out[d] /= 2;
}

// sweep._slide
INLINE Place slide(const Pass &task, Index index, const float *rest, float *down, float *right) {
    slope(task, index, task.planes.row, down), slope(task, index, 1, right);
    const Index d = task.components;
    const float yy = product(down, down, d) + task.damping, xx = product(right, right, d) + task.damping;
    const float xy = product(down, right, d), ry = product(down, rest, d), rx = product(right, rest, d);
    const float determinant = yy * xx - xy * xy;
    const float y = (xx * ry - xy * rx) / determinant, x = (yy * rx - xy * ry) / determinant;
    const float share = SAME_COPY / std::max(std::max(std::fabs(y), std::fabs(x)), SAME_COPY);
    return {y * share, x * share};
}

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
