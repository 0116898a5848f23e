// The cheapest entries of rows of costs, and the cheapest one again after small changes: texsynth/patches/shortlist.py
#include "binding.hpp"

#include <limits>

namespace {

constexpr Index AT_ONCE = 64; // rows that a thread is worth starting for

struct Costs { // shortlist.of
    const float *matrix; // (n, lanes, span)
    Index lanes, span, most;
    std::int32_t *groups; // (n, most)
    float *kept;          // (n, lanes, most)
    float *bound;         // (n,)
};

// Puts the numbers of the `most` least of `span` values into groups, in ascending order, and gives the next least value.
INLINE float select(const float *values, Index span, Index most, float *least, std::int32_t *groups) {
    std::fill_n(least, most + 1, std::numeric_limits<float>::infinity());
    for (Index group = 0; group < span; ++group) {
        if (!(values[group] < least[most]))
            continue;
        Index at = most;
        for (; at > 0 && values[group] < least[at - 1]; --at) {
            least[at] = least[at - 1];
            if (at < most)
                groups[at] = groups[at - 1];
        }
        least[at] = values[group];
        if (at < most)
            groups[at] = std::int32_t(group);
    }
    std::sort(groups, groups + most);
    return least[most];
}

FOR_EACH_PROCESSOR void shorten(const Costs &task, Index first, Index last) {
    std::vector<float> smallest(task.span), least(task.most + 1);
    for (Index row = first; row < last; ++row) {
        const float *costs = task.matrix + row * task.lanes * task.span;
        std::copy_n(costs, task.span, smallest.data());
        for (Index lane = 1; lane < task.lanes; ++lane)
            for (Index group = 0; group < task.span; ++group)
                smallest[group] = std::min(smallest[group], costs[lane * task.span + group]);
        std::int32_t *groups = task.groups + row * task.most;
        for (Index k = 0; k < task.most; ++k)
            groups[k] = std::int32_t(k); // where fewer than `most` values are finite
        task.bound[row] = select(smallest.data(), task.span, task.most, least.data(), groups);
        float *kept = task.kept + row * task.lanes * task.most;
        for (Index lane = 0; lane < task.lanes; ++lane)
            for (Index k = 0; k < task.most; ++k)
                kept[lane * task.most + k] = costs[lane * task.span + groups[k]];
    }
}

nb::tuple shortlist(int threads, Array<float, 2> matrix, Index lanes, Index most) {
    const size_t count = matrix.shape(0);
    Result<std::int32_t> groups = empty<std::int32_t>({count, size_t(most)});
    Result<float> kept = empty<float>({count, size_t(lanes), size_t(most)}), bound = empty<float>({count});
    Costs task = {matrix.data(), lanes, Index(matrix.shape(1)) / lanes, most, groups.data(), kept.data(), bound.data()};
    {
        nb::gil_scoped_release released;
        in_parts(count, threads, AT_ONCE, [&](Index first, Index last) { shorten(task, first, last); });
    }
    return nb::make_tuple(groups, kept, bound);
}

struct Least { // shortlist.Shortlist.least
    const Index *rows;          // (m,)
    const std::int32_t *groups; // (n, most)
    const float *kept, *bound;  // (n, lanes, most), (n,)
    const float *rise;          // (lanes, span)
    Index lanes, most, span;
    float highest;
    Index *columns; // (m,)
};

FOR_EACH_PROCESSOR void find_least(const Least &task, Index first, Index last) {
    for (Index n = first; n < last; ++n) {
        const Index row = task.rows[n];
        const std::int32_t *groups = task.groups + row * task.most;
        const float *kept = task.kept + row * task.lanes * task.most;
        float least = task.bound[row] - task.highest;
        Index column = -1;
        for (Index lane = 0; lane < task.lanes; ++lane)
            for (Index k = 0; k < task.most; ++k) {
                const Index at = lane * task.span + groups[k];
                const float cost = kept[lane * task.most + k] - task.rise[at];
                if (cost < least)
                    least = cost, column = at;
            }
        task.columns[n] = column;
    }
}

Result<Index> least_of_shortlist(int threads, Array<Index, 1> rows, Array<std::int32_t, 2> groups,
                                 Array<float, 3> kept, Array<float, 1> bound, Array<float, 1> rise, float highest) {
    Result<Index> columns = empty<Index>({rows.shape(0)});
    const Index lanes = kept.shape(1), most = kept.shape(2), span = rise.shape(0) / lanes;
    Least task = {rows.data(), groups.data(), kept.data(), bound.data(), rise.data(), lanes, most, span, highest,
                  columns.data()};
    {
        nb::gil_scoped_release released;
        in_parts(rows.shape(0), threads, 8 * AT_ONCE, [&](Index first, Index last) { find_least(task, first, last); });
    }
    return columns;
}

struct Whole { // shortlist.least_of_rows
    const float *costs; // (n, columns)
    const Index *rows;  // (m,)
    const float *rise;  // (columns,)
    Index width, span;
    Index *columns; // (m,)
};

// Where this value is: the first column of rows of `span`, from top to bottom, and what is left over comes last.
INLINE Index first_of(const float *values, Index width, Index span, float value) {
    const Index whole = width / span * span;
    Index best = width;
    for (Index start = 0; start < width; start += LANES) { // values has LANES more than its width
        bool here = false;
        for (int lane = 0; lane < LANES; ++lane)
            here |= values[start + lane] == value;
        for (Index at = start; here && at < std::min(width, start + LANES); ++at)
            if (values[at] == value && (best == width || (at < whole && at % span < best % span)))
                best = at;
    }
    return best < width ? best : 0; // none is equal to what is no number
}

FOR_EACH_PROCESSOR void find_least_of_rows(const Whole &task, Index first, Index last) {
    std::vector<float> values(task.width + LANES, std::numeric_limits<float>::infinity());
    for (Index n = first; n < last; ++n) {
        const float *costs = task.costs + task.rows[n] * task.width;
        for (Index column = 0; column < task.width; ++column)
            values[column] = costs[column] - task.rise[column];
        float smallest[LANES];
        std::copy_n(values.data(), LANES, smallest);
        for (Index column = 0; column < task.width; column += LANES)
            for (int lane = 0; lane < LANES; ++lane)
                smallest[lane] = std::min(smallest[lane], values[column + lane]);
        const float least = *std::min_element(smallest, smallest + LANES);
        task.columns[n] = first_of(values.data(), task.width, task.span, least);
    }
}

Result<Index> least_of_rows(int threads, Array<float, 2> costs, Array<Index, 1> rows, Array<float, 1> rise,
                            Index span) {
    Result<Index> columns = empty<Index>({rows.shape(0)});
    Whole task = {costs.data(), rows.data(), rise.data(), Index(costs.shape(1)), span, columns.data()};
    {
        nb::gil_scoped_release released;
        in_parts(rows.shape(0), threads, AT_ONCE, [&](Index first, Index last) { find_least_of_rows(task, first, last); });
    }
    return columns;
}

} // namespace

void bind_shortlist(nb::module_ &module) {
    module.def("shortlist", shortlist);
    module.def("least_of_shortlist", least_of_shortlist);
    module.def("least_of_rows", least_of_rows);
}
