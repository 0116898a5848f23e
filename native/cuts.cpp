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

struct Strips { // of one candidate at a time
    std::vector<float> error, total;
    std::vector<Index> path;
    explicit Strips(const Cuts &task)
        : error(task.pieces.side * task.overlap), total(task.pieces.side * (task.overlap + 2)), path(task.pieces.side) {}
};

// The cost of the cuts of a candidate, per pixel of its side; where `keep` is not null, what stays is marked there.
INLINE float cut(const Cuts &task, Strips &strips, Index place, Index number, bool *keep) {
    const Index side = task.pieces.side, overlap = task.overlap, last = side - 1;
    const Index corner = task.pieces.corners[place * task.pieces.tries + number];
    const bool *painted = task.painted + place * side * side;
    float cost = 0;
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
                strips.error[row * overlap + c] = painted[pixel] ? gap(task.pieces, place, corner, pixel) : 0;
            }
        sum_up(strips.error.data(), side, overlap, 0, strips.total.data());
        const Index end = best_end(strips.total.data(), side, overlap);
        cost += strips.total[last * (overlap + 2) + 1 + end];
        if (!keep)
            continue;
        trace_back(strips.error.data(), strips.total.data(), side, overlap, 0, end, strips.path.data());
        for (Index row = 0; row < side; ++row)
            for (Index c = 0; c < strips.path[row]; ++c)
                keep[start + row * down + c * right] = painted[start + row * down + c * right];
    }
    return cost / side;
}

FOR_EACH_PROCESSOR void compare_cuts(const Cuts &task, Index first, Index last) {
    Strips strips(task);
    for (Index at = first; at < last; ++at)
        task.cost[at] = cut(task, strips, at / task.pieces.tries, at % task.pieces.tries, nullptr);
}

FOR_EACH_PROCESSOR void choose_cuts(const Cuts &task, Index first, Index last) {
    Strips strips(task);
    const Index area = task.pieces.side * task.pieces.side;
    for (Index place = first; place < last; ++place) {
        task.pick[place] = cheapest(task.pieces, task.cost, place);
        std::fill_n(task.keep + place * area, area, false);
        cut(task, strips, place, task.pick[place], task.keep + place * area);
    }
}

nb::tuple cheapest_cuts(int threads, Array<float, 2> colours, Array<Index, 2> corners, Array<Index, 1> inner,
                        Array<Index, 2> old, Array<float, 2> price, Array<bool, 2> painted, Array<bool, 2> borders,
                        Index side, Index overlap) {
    const size_t places = corners.shape(0), tries = corners.shape(1);
    Result<Index> pick = empty<Index>({places});
    Result<bool> keep = empty<bool>({places, inner.shape(0)});
    Result<float> cost = empty<float>({places, tries});
    const Cuts task = {candidates(colours, corners, inner, old, price, side), painted.data(), borders.data(), overlap,
                       cost.data(), pick.data(), keep.data()};
    {
        nb::gil_scoped_release released;
        in_parts(places * tries, threads, 64, [&](Index first, Index last) { compare_cuts(task, first, last); });
        choose_cuts(task, 0, places);
    }
    return nb::make_tuple(pick, keep, cost);
}

} // namespace

void bind_cuts(nb::module_ &module) {
    module.def("cheapest_cuts", cheapest_cuts);
}
