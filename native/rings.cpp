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

struct Round { // of a few candidates at a time
    std::vector<float> canvas, row, gaps, smooth, price, total;
    std::vector<Index> path;
    explicit Round(const Rings &task, int lanes)
        : canvas(task.pieces.channels * task.pieces.side * task.pieces.side), row(task.pieces.side),
          gaps((task.pieces.side + 2) * (task.pieces.side + 2) * lanes), smooth(task.pieces.side * task.pieces.side * lanes),
          price(turns(task) * task.rings * lanes), total(turns(task) * (task.rings + 2) * lanes),
          path(turns(task) * lanes) {}
    static Index turns(const Rings &task) { return task.angles + 2 * (task.angles / 4); }
};

// The means of the gaps of candidates over 3 x 3 pixels; those at the border of a piece are repeated beyond it.
template <int lanes> INLINE void smoothen(const Rings &task, Round &round, Index place, Index first) {
    const Index side = task.pieces.side, wide = side + 2, length = side * lanes, stride = wide * lanes;
    float *gaps = round.gaps.data();
    find_gaps<lanes>(task.pieces, place, first, round.canvas.data(), round.row.data(), wide, gaps + stride + lanes);
    for (Index y = 1; y <= side; ++y) {
        std::copy_n(gaps + y * stride + lanes, lanes, gaps + y * stride);
        std::copy_n(gaps + y * stride + length, lanes, gaps + y * stride + length + lanes);
    }
    std::copy_n(gaps + stride, stride, gaps);
    std::copy_n(gaps + side * stride, stride, gaps + (side + 1) * stride);
    for (Index y = 0; y < side; ++y) {
        const float *a = gaps + y * stride, *b = a + stride, *c = b + stride;
        float *out = round.smooth.data() + y * length;
        for (Index k = 0; k < length; ++k) {
            const float above = a[k] + a[k + lanes] + a[k + 2 * lanes];
            out[k] = (above + b[k] + b[k + lanes] + b[k + 2 * lanes] + c[k] + c[k + lanes] + c[k + 2 * lanes]) / 9;
        }
    }
}

// The costs (lanes,) of the cheapest cuts of candidates from the number `first` on, per pixel of their side; the ring of
// each at every angle is in round.path, from a quarter turn on.
template <int lanes> INLINE void go_round(const Rings &task, Round &round, Index place, Index first, float *cost) {
    const Index angles = task.angles, rings = task.rings, quarter = angles / 4, rows = Round::turns(task);
    smoothen<lanes>(task, round, place, first);
    float *price = round.price.data() + quarter * rings * lanes; // of the turn in the middle
    const float *outside = task.outside + place * angles * rings, *smooth = round.smooth.data();
    for (Index a = 0; a < angles; ++a)
        for (Index ring = 0; ring < rings; ++ring) {
            const Index at = a * rings + ring;
            const bool free = ring == rings - 1 && task.ends[place * angles + a];
            for (int lane = 0; lane < lanes; ++lane) {
                const float crossed = smooth[task.cells[at] * lanes + lane] * task.arc[at] * task.crossed;
                price[at * lanes + lane] = (free ? 0 : crossed) + outside[at];
            }
        }
    const Index part = quarter * rings * lanes;
    std::copy_n(price + angles * rings * lanes - part, part, round.price.data());
    std::copy_n(price, part, price + angles * rings * lanes);
    Index ends[lanes];
    sum_up<lanes>(round.price.data(), rows, rings, 1, round.total.data());
    find_ends<lanes>(round.total.data(), rows, rings, ends, cost);
    trace_back<lanes>(round.price.data(), round.total.data(), rows, rings, 1, ends, round.path.data());
    float sums[LANES * lanes] = {};
    for (Index a = 0; a < angles; ++a)
        for (int lane = 0; lane < lanes; ++lane) {
            const Index ring = round.path[(quarter + a) * lanes + lane];
            sums[a % LANES * lanes + lane] += price[(a * rings + ring) * lanes + lane];
        }
    for (int half = LANES * lanes / 2; half >= lanes; half /= 2)
        for (int k = 0; k < half; ++k)
            sums[k] += sums[k + half];
    for (int lane = 0; lane < lanes; ++lane)
        cost[lane] = sums[lane] / task.pieces.side;
}

FOR_EACH_PROCESSOR void compare_rounds(const Rings &task, Index first, Index last) {
    Round round(task, LANES);
    const Index groups = task.pieces.groups(), tries = task.pieces.tries;
    for (Index group = first; group < last; ++group) {
        const Index place = group / groups, number = group % groups * LANES;
        float cost[LANES];
        go_round<LANES>(task, round, place, number, cost);
        std::copy_n(cost, std::min<Index>(LANES, tries - number), task.cost + place * tries + number);
    }
}

FOR_EACH_PROCESSOR void choose_rounds(const Rings &task, Index first, Index last) {
    Round round(task, 1);
    const Index area = task.pieces.side * task.pieces.side, quarter = task.angles / 4;
    for (Index place = first; place < last; ++place) {
        float cost;
        task.pick[place] = cheapest(task.pieces, task.cost, place);
        go_round<1>(task, round, place, task.pick[place], &cost);
        for (Index pixel = 0; pixel < area; ++pixel) {
            const Index ring = round.path[quarter + task.angle[pixel]];
            task.inside[place * area + pixel] = task.distance[pixel] <= task.radius[ring];
        }
    }
}

nb::tuple cheapest_closed_cuts(int threads, Array<float, 2> planes, Array<Index, 2> corners, Array<Index, 1> inner,
                               Array<Index, 2> old, Array<float, 2> price, Array<float, 3> outside, Array<bool, 2> ends,
                               Array<Index, 2> cells, Array<float, 2> arc, Array<float, 1> radius,
                               Array<float, 1> distance, Array<Index, 1> angle, Index side, float crossed) {
    const size_t places = corners.shape(0), tries = corners.shape(1);
    Result<Index> pick = empty<Index>({places});
    Result<bool> inside = empty<bool>({places, inner.shape(0)});
    std::vector<float> cost(places * tries);
    Rings task = {};
    task.pieces = candidates(planes, corners, inner, old, price, side);
    task.outside = outside.data(), task.ends = ends.data(), task.cells = cells.data(), task.angle = angle.data();
    task.arc = arc.data(), task.radius = radius.data(), task.distance = distance.data(), task.crossed = crossed;
    task.angles = cells.shape(0), task.rings = cells.shape(1);
    task.cost = cost.data(), task.pick = pick.data(), task.inside = inside.data();
    {
        nb::gil_scoped_release released;
        in_parts(places * task.pieces.groups(), threads, 4, [&](Index first, Index last) { compare_rounds(task, first, last); });
        choose_rounds(task, 0, places);
    }
    return nb::make_tuple(pick, inside);
}

} // namespace

void bind_rings(nb::module_ &module) {
    module.def("cheapest_closed_cuts", cheapest_closed_cuts);
}
