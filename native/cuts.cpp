// Cuts through the overlaps of pieces with a canvas on all four sides (Efros & Freeman 2001, "Image Quilting"), of which
// the cheapest candidate is chosen: texsynth/field/quilting.py
#include "candidates.hpp"
#include "paths.hpp"

namespace {

struct Cuts { // quilting.cheapest_cuts
    Candidates pieces;
    const bool *painted, *borders; // (B, s^2), (B, 4)
    Index overlap;
    float *cost; // (B, T)
    Index *pick; // (B,)
    bool *keep;  // (B, s^2)
};

struct Strips { // of a few candidates at a time
    std::vector<float> canvas, row, gaps, error, total;
    std::vector<Index> path;
    explicit Strips(const Candidates &pieces, Index overlap, int lanes)
        : canvas(pieces.channels * pieces.side * pieces.side), row(pieces.side), gaps(pieces.side * pieces.side * lanes),
          error(pieces.side * overlap * lanes), total(pieces.side * (overlap + 2) * lanes), path(pieces.side * lanes) {}
};

// The costs (lanes,) of the cuts of candidates from the number `first` on, per pixel of their side. Where `keep` is not
// null, what stays of the canvas is marked there, for the only lane.
template <int lanes>
INLINE void cut(const Cuts &task, Strips &strips, Index place, Index first, float *cost, bool *keep) {
    const Index side = task.pieces.side, overlap = task.overlap, last = side - 1;
    const bool *painted = task.painted + place * side * side;
    float *error = strips.error.data(), *total = strips.total.data();
    find_gaps<lanes>(task.pieces, place, first, strips.canvas.data(), strips.row.data(), side, strips.gaps.data());
    std::fill_n(cost, lanes, 0.0f);
    for (int turn = 0; turn < 4; ++turn) { // the side in question is turned to the left
        const Index start = turn == 0 ? 0 : turn == 1 ? last : turn == 2 ? last * side + last : last * side;
        const Index down = turn == 0 ? side : turn == 1 ? -1 : turn == 2 ? -side : 1;
        const Index right = turn == 0 ? 1 : turn == 1 ? side : turn == 2 ? -1 : -side;
        const bool met = painted[start + side / 2 * down] || painted[start + side / 4 * down];
        if (!met || task.borders[place * 4 + turn])
            continue;
        for (Index row = 0; row < side; ++row)
            for (Index c = 0; c < overlap; ++c) {
                const Index pixel = start + row * down + c * right;
                for (int lane = 0; lane < lanes; ++lane)
                    error[(row * overlap + c) * lanes + lane] = painted[pixel] ? strips.gaps[pixel * lanes + lane] : 0;
            }
        Index ends[lanes];
        float least[lanes];
        sum_up<lanes>(error, side, overlap, 0, total);
        find_ends<lanes>(total, side, overlap, ends, least);
        for (int lane = 0; lane < lanes; ++lane)
            cost[lane] += least[lane];
        if (!keep)
            continue;
        trace_back<lanes>(error, total, side, overlap, 0, ends, strips.path.data());
        for (Index row = 0; row < side; ++row)
            for (Index c = 0; c < strips.path[row]; ++c)
                keep[start + row * down + c * right] = painted[start + row * down + c * right];
    }
    for (int lane = 0; lane < lanes; ++lane)
        cost[lane] /= side;
}

FOR_EACH_PROCESSOR void compare_cuts(const Cuts &task, Index first, Index last) {
    Strips strips(task.pieces, task.overlap, LANES);
    const Index groups = task.pieces.groups(), tries = task.pieces.tries;
    for (Index group = first; group < last; ++group) {
        const Index place = group / groups, number = group % groups * LANES;
        float cost[LANES];
        cut<LANES>(task, strips, place, number, cost, nullptr);
        std::copy_n(cost, std::min<Index>(LANES, tries - number), task.cost + place * tries + number);
    }
}

FOR_EACH_PROCESSOR void choose_cuts(const Cuts &task, Index first, Index last) {
    Strips strips(task.pieces, task.overlap, 1);
    const Index area = task.pieces.side * task.pieces.side;
    for (Index place = first; place < last; ++place) {
        float cost;
        task.pick[place] = cheapest(task.pieces, task.cost, place);
        std::fill_n(task.keep + place * area, area, false);
        cut<1>(task, strips, place, task.pick[place], &cost, task.keep + place * area);
    }
}

nb::tuple cheapest_cuts(int threads, Array<float, 2> planes, Array<Index, 2> corners, Array<Index, 1> inner,
                        Array<Index, 2> old, Array<float, 2> price, Array<bool, 2> painted, Array<bool, 2> borders,
                        Index side, Index overlap) {
    const size_t places = corners.shape(0), tries = corners.shape(1);
    Result<Index> pick = empty<Index>({places});
    Result<bool> keep = empty<bool>({places, inner.shape(0)});
    Result<float> cost = empty<float>({places, tries});
    const Cuts task = {candidates(planes, corners, inner, old, price, side), painted.data(), borders.data(), overlap,
                       cost.data(), pick.data(), keep.data()};
    {
        nb::gil_scoped_release released;
        in_parts(places * task.pieces.groups(), threads, 8, [&](Index first, Index last) { compare_cuts(task, first, last); });
        choose_cuts(task, 0, places);
    }
    return nb::make_tuple(pick, keep, cost);
}

} // namespace

void bind_cuts(nb::module_ &module) {
    module.def("cheapest_cuts", cheapest_cuts);
}
