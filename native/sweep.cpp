// One pass of a field, in which its active pixels take the best of their candidates: texsynth/field/sweep.py
#include "binding.hpp"
#include "sweep_candidates.hpp"
#include "windows.hpp"

#include <optional>
#include <tuple>

#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>

namespace {

// The colours of the last rows of the wide field that were read, as many as a window has.
struct Rows {
    Index below; // the first row that has not been read
    std::vector<std::int16_t> colours;
};

// The window of the pixel (y, x), where y never goes back.
INLINE void read(const Sweep &task, Rows &rows, Index y, Index x, std::int16_t *window) {
    const Index stride = task.width + 2 * task.margin, patch = 2 * task.margin + 1, channels = task.channels;
    for (rows.below = std::max(rows.below, y); rows.below < y + patch; ++rows.below) {
        const Index *sources = task.wide + rows.below * stride;
        std::int16_t *colours = rows.colours.data() + rows.below % patch * stride * channels;
        if (channels == 3)
            for (Index column = 0; column < stride; ++column)
                std::copy_n(task.colours + 3 * sources[column], 3, colours + 3 * column);
        else
            for (Index column = 0; column < stride; ++column)
                std::copy_n(task.colours + channels * sources[column], channels, colours + channels * column);
    }
    for (Index part = 0; part < patch; ++part)
        std::copy_n(rows.colours.data() + ((y + part) % patch * stride + x) * channels, channels * patch,
                    window + channels * part * patch);
}

// Of the active pixels, in reading order, those from `first` on, below `last`; before: how many lie before each row.
FOR_EACH_PROCESSOR void improve(const Sweep &task, const Directions &directions, const std::vector<Index> &before,
                                Index first, Index last) {
    const Index width = task.width, stride = width + 2 * task.margin, components = directions.count;
    Rows rows = {0, std::vector<std::int16_t>(directions.channels * stride * directions.patch)};
    std::vector<std::int16_t> window(directions.length, 0);
    std::vector<std::int32_t> sums(directions.rows());
    std::vector<float> descriptor(components), apart(task.draws.size());
    Index y = std::upper_bound(before.begin(), before.end(), first) - before.begin() - 1;
    for (Index number = before[y]; number < last; ++y)
        for (Index x = 0; x < width; ++x) {
            const Index at = y * width + x;
            if (!task.active[at] || number++ < first || number > last)
                continue;
            const Index *here = task.wide + (y + task.margin) * stride + x + task.margin;
            const Coherent candidates = coherent(task, here, components);
            read(task, rows, y, x, window.data());
            project(directions, window.data(), sums.data(), descriptor.data());
            const float distance = squared_distance(task.table + *here * components, descriptor.data(), components);
            Pixel pixel = {here, descriptor.data(), task.goal + at * task.goals, task.strength + at * task.goals, components, {}};
            pixel.best = {*here, distance, distance + price_of(task, pixel, *here)};
            attempt_coherent(task, pixel, candidates);
            if (!task.draws.empty())
                attempt_fitting(task, pixel, apart.data());
            if (task.from_afar)
                attempt_from_afar(task, pixel);
            task.index[at] = pixel.best.source;
            task.cost[at] = pixel.best.distance;
        }
}

void sweep(const Sweep &task, const Directions &directions, int threads) {
    std::vector<Index> before = {0};
    for (Index y = 0; y < task.height; ++y) {
        const Index *row = task.wide + (y + task.margin) * (task.width + 2 * task.margin) + task.margin;
        std::copy_n(row, task.width, task.index + y * task.width);
        const bool *active = task.active + y * task.width;
        before.push_back(before.back() + std::count(active, active + task.width, true));
    }
    std::fill_n(task.cost, task.height * task.width, 0.0f);
    in_parts(before.back(), threads, 512,
             [&](Index first, Index last) { improve(task, directions, before, first, last); });
}

using Guides = std::tuple<Array<float, 2>, Array<float, 3>, Array<float, 3>>; // table, goal, strength

void take_guides(Sweep &task, const Guides &guides, Array<Index, 1> draws) {
    const auto &[table, goal, strength] = guides;
    task.guides = table.data(), task.goal = goal.data(), task.strength = strength.data(), task.goals = table.shape(1);
    task.draws.assign(draws.data(), draws.data() + draws.shape(0));
    for (Index g = 0; g < task.goals; ++g)
        for (Index source : task.draws)
            task.drawn.push_back(task.guides[source * task.goals + g]);
}

nb::tuple swept(int threads, Array<Index, 2> wide, Array<bool, 2> active, Index patch, Index row,
                Array<std::int16_t, 2> colours, Array<std::int16_t, 2> weights, Array<float, 1> centre, float unit,
                Array<float, 2> table, Array<std::int32_t, 2> jumps, Array<float, 1> price, float factor,
                std::optional<Guides> guides, Array<Index, 1> draws, bool from_afar) {
    const Directions directions(weights.data(), centre.data(), unit, weights.shape(0), patch, colours.shape(1));
    Sweep task = {};
    task.wide = wide.data(), task.active = active.data(), task.margin = patch / 2, task.row = row;
    task.height = active.shape(0), task.width = active.shape(1), task.colours = colours.data();
    task.channels = colours.shape(1);
    task.table = table.data(), task.sources = table.shape(0), task.jumps = jumps.data(), task.similar = jumps.shape(1);
    task.price = price.data(), task.factor = factor, task.from_afar = from_afar;
    if (guides)
        take_guides(task, *guides, draws);
    Result<Index> index = empty<Index>({active.shape(0), active.shape(1)});
    Result<float> cost = empty<float>({active.shape(0), active.shape(1)});
    task.index = index.data(), task.cost = cost.data();
    {
        nb::gil_scoped_release released;
        sweep(task, directions, threads);
    }
    return nb::make_tuple(index, cost);
}

} // namespace

void bind_sweep(nb::module_ &module) {
    module.def("swept", swept);
}
