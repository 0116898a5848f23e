// How well a turned copy fits a pixel, and by how much it slides to fit better (Lucas & Kanade 1981):
// texsynth/field/turned/sweep.py
#pragma once

#include "turns.hpp"

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

} // namespace
