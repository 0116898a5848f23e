// Closed cuts round the middle of pieces, of which the cheapest candidate is chosen (costs: Kwatra et al. 2003, "Graphcut
// Textures", section 3): texsynth/field/recut.py
#include "candidates.hpp"
#include "paths.hpp"

namespace {

struct Rings { // recut.cheapest_closed_cuts
    Candidates pieces;
    const float *outside;                // (B, A, R)
    const bool *ends;                    // (B, A)
    const Index *cells, *angle;          // (A, R), (s^2,)
    const float *arc, *radius, *distance; // (A, R), (R,), (s^2,)
    float crossed;
    Index angles, rings;
    float *cost;  // (B, T)
    Index *pick;  // (B,)
    bool *inside; // (B, s^2)
};

struct Round { // of one candidate at a time
    std::vector<float> gaps, smooth, price, total;
    std::vector<Index> path;
    explicit Round(const Rings &task)
        : gaps((task.pieces.side + 2) * (task.pieces.side + 2)), smooth(task.pieces.side * task.pieces.side),
          price(turns(task) * task.rings), total(turns(task) * (task.rings + 2)), path(turns(task)) {}
    static Index turns(const Rings &task) { return task.angles + 2 * (task.angles / 4); }
};

// The means of the gaps of a candidate over 3 x 3 pixels; those at the border of the piece are repeated beyond it.
INLINE void smoothen(const Rings &task, Round &round, Index place, Index corner) {
    const Index side = task.pieces.side, wide = side + 2;
    for (Index y = 0; y < side; ++y) {
        float *row = round.gaps.data() + (y + 1) * wide;
        for (Index x = 0; x < side; ++x)
            row[x + 1] = gap(task.pieces, place, corner, y * side + x);
        row[0] = row[1], row[side + 1] = row[side];
    }
    std::copy_n(round.gaps.data() + wide, wide, round.gaps.data());
    std::copy_n(round.gaps.data() + side * wide, wide, round.gaps.data() + (side + 1) * wide);
    for (Index y = 0; y < side; ++y) {
        const float *a = round.gaps.data() + y * wide, *b = a + wide, *c = b + wide;
        float *out = round.smooth.data() + y * side;
        for (Index x = 0; x < side; ++x)
            out[x] = (a[x] + a[x + 1] + a[x + 2] + b[x] + b[x + 1] + b[x + 2] + c[x] + c[x + 1] + c[x + 2]) / 9;
    }
}

// The cost of the cheapest cut of a candidate; its ring at every angle is round.path from a quarter turn on.
INLINE float go_round(const Rings &task, Round &round, Index place, Index number) {
    const Index angles = task.angles, rings = task.rings, quarter = angles / 4, rows = Round::turns(task);
    smoothen(task, round, place, task.pieces.corners[place * task.pieces.tries + number]);
    float *price = round.price.data() + quarter * rings; // of the turn in the middle
    const float *outside = task.outside + place * angles * rings;
    for (Index at = 0; at < angles * rings; ++at)
        price[at] = round.smooth[task.cells[at]] * task.arc[at] * task.crossed;
    for (Index a = 0; a < angles; ++a)
        if (task.ends[place * angles + a])
            price[a * rings + rings - 1] = 0;
    for (Index at = 0; at < angles * rings; ++at)
        price[at] += outside[at];
    std::copy_n(price + (angles - quarter) * rings, quarter * rings, round.price.data());
    std::copy_n(price, quarter * rings, price + angles * rings);
    sum_up(round.price.data(), rows, rings, 1, round.total.data());
    const Index end = best_end(round.total.data(), rows, rings);
    trace_back(round.price.data(), round.total.data(), rows, rings, 1, end, round.path.data());
    float sums[LANES] = {};
    for (Index a = 0; a < angles; ++a)
        sums[a % LANES] += price[a * rings + round.path[quarter + a]];
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int lane = 0; lane < half; ++lane)
            sums[lane] += sums[lane + half];
    return sums[0] / task.pieces.side;
}

FOR_EACH_PROCESSOR void compare_rounds(const Rings &task, Index first, Index last) {
    Round round(task);
    for (Index at = first; at < last; ++at)
        task.cost[at] = go_round(task, round, at / task.pieces.tries, at % task.pieces.tries);
}

FOR_EACH_PROCESSOR void choose_rounds(const Rings &task, Index first, Index last) {
    Round round(task);
    const Index area = task.pieces.side * task.pieces.side, quarter = task.angles / 4;
    for (Index place = first; place < last; ++place) {
        task.pick[place] = cheapest(task.pieces, task.cost, place);
        go_round(task, round, place, task.pick[place]);
        for (Index pixel = 0; pixel < area; ++pixel) {
            const Index ring = round.path[quarter + task.angle[pixel]];
            task.inside[place * area + pixel] = task.distance[pixel] <= task.radius[ring];
        }
    }
}

nb::tuple cheapest_closed_cuts(int threads, Array<float, 2> colours, Array<Index, 2> corners, Array<Index, 1> inner,
                               Array<Index, 2> old, Array<float, 2> price, Array<float, 3> outside, Array<bool, 2> ends,
                               Array<Index, 2> cells, Array<float, 2> arc, Array<float, 1> radius,
                               Array<float, 1> distance, Array<Index, 1> angle, Index side, float crossed) {
    const size_t places = corners.shape(0), tries = corners.shape(1);
    Result<Index> pick = empty<Index>({places});
    Result<bool> inside = empty<bool>({places, inner.shape(0)});
    std::vector<float> cost(places * tries);
    Rings task = {};
    task.pieces = candidates(colours, corners, inner, old, price, side);
    task.outside = outside.data(), task.ends = ends.data(), task.cells = cells.data(), task.angle = angle.data();
    task.arc = arc.data(), task.radius = radius.data(), task.distance = distance.data(), task.crossed = crossed;
    task.angles = cells.shape(0), task.rings = cells.shape(1);
    task.cost = cost.data(), task.pick = pick.data(), task.inside = inside.data();
    {
        nb::gil_scoped_release released;
        in_parts(places * tries, threads, 32, [&](Index first, Index last) { compare_rounds(task, first, last); });
        choose_rounds(task, 0, places);
    }
    return nb::make_tuple(pick, inside);
}

} // namespace

void bind_rings(nb::module_ &module) {
    module.def("cheapest_closed_cuts", cheapest_closed_cuts);
}
