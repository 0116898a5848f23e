// One pass of a field (Ashikhmin 2001, coherence; Tong et al. 2002, k-coherence): texsynth/field/sweep.py
#include "binding.hpp"
#include "windows.hpp"

#include <optional>
#include <tuple>

#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>

namespace {

struct Sweep { // sweep.sweep
    const Index *wide;  // (height + 2 margin, width + 2 margin)
    const bool *active; // (height, width)
    Index height, width, margin, row; // of the field, of the atlas
    const std::int16_t *colours;      // (N, 3)
    const float *table;               // (N, D)
    const std::int32_t *jumps;        // (N, similar)
    Index sources, similar;
    const float *price; // (N,)
    float factor;
    const float *guides, *goal, *strength; // (N, G), (height, width, G) twice
    Index goals;
    std::vector<Index> draws; // two halves
    std::vector<float> drawn; // (G, draws), their guides
    bool from_afar;
    Index *index; // (height, width)
    float *cost;  // (height, width)
};

struct Best {
    Index source;
    float distance, total;
};

// A pixel, what it asks for, and the best that has been tried.
struct Pixel {
    const Index *here; // in the wide field
    const float *window, *goal, *strength;
    Index components;
    Best best;
};

// What a source costs a pixel, without the distance of windows.
INLINE float price_of(const Sweep &task, const Pixel &pixel, Index source) {
    float price = 0;
    for (Index g = 0; g < task.goals; ++g) {
        const float missed = task.guides[source * task.goals + g] - pixel.goal[g];
        price += missed * missed * pixel.strength[g];
    }
    return task.price[source] + price;
}

INLINE void attempt(const Sweep &task, Pixel &pixel, Index source, float factor) {
    if (source == pixel.best.source)
        return;
    const float price = price_of(task, pixel, source);
    if (!(price < pixel.best.total)) // a distance is never below 0
        return;
    const Index components = pixel.components;
    const float distance = squared_distance(task.table + source * components, pixel.window, components);
    const float total = distance * factor + price;
    if (total < pixel.best.total)
        pixel.best = {source, distance, total};
}

// What is copied now and what the neighbours continue to, each once; what is known of these and their look-alikes is
// fetched meanwhile.
struct Coherent {
    Index sources[9];
    int count;
};

INLINE void fetch(const Sweep &task, Index source, Index components) {
    constexpr Index line = 16; // floats
    for (Index k = 0; k < components; k += line)
        PREFETCH(task.table + source * components + k);
    PREFETCH(task.price + source);
}

INLINE Coherent coherent(const Sweep &task, const Index *here, Index components) {
    const Index stride = task.width + 2 * task.margin;
    Coherent all = {{*here}, 1};
    for (int dy = -1; dy <= 1; ++dy)
        for (int dx = -1; dx <= 1; ++dx) {
            const Index source = here[dy * stride + dx] - (dy * task.row + dx);
            if (source >= 0 && source < task.sources && std::find(all.sources, all.sources + all.count, source) == all.sources + all.count)
                all.sources[all.count++] = source;
        }
    for (int n = 0; n < all.count; ++n) {
        fetch(task, all.sources[n], components);
        for (Index k = 0; k < task.similar; ++k)
            fetch(task, task.jumps[all.sources[n] * task.similar + k], components);
    }
    return all;
}

INLINE void attempt_coherent(const Sweep &task, Pixel &pixel, const Coherent &all) {
    for (int n = 1; n < all.count; ++n)
        attempt(task, pixel, all.sources[n], 1.0f);
    for (Index k = 0; k < task.similar; ++k)
        for (int n = 0; n < all.count; ++n)
            attempt(task, pixel, task.jumps[all.sources[n] * task.similar + k], task.factor);
}

// Of each half of the draws the first of those whose guides are nearest to the goal.
INLINE void attempt_fitting(const Sweep &task, Pixel &pixel, float *apart) {
    const Index count = task.draws.size();
    std::fill_n(apart, count, 0.0f);
    for (Index g = 0; g < task.goals; ++g) {
        const float goal = pixel.goal[g], *values = task.drawn.data() + g * count;
        for (Index n = 0; n < count; ++n)
            apart[n] += (goal - values[n]) * (goal - values[n]);
    }
    for (Index first = 0, last = (count + 1) / 2; first < count; first = last, last = count)
        attempt(task, pixel, task.draws[first + first_least(apart + first, last - first)], task.factor);
}

// What look-alikes of pixels half a window away continue to.
INLINE void attempt_from_afar(const Sweep &task, Pixel &pixel) {
    const Index stride = task.width + 2 * task.margin, reach = task.margin;
    for (int dy = -1; dy <= 1; ++dy)
        for (int dx = -1; dx <= 1; ++dx)
            for (Index k = 0; k < (dy == 0 && dx == 0 ? 0 : task.similar); ++k) {
                const Index there = task.jumps[pixel.here[(dy * stride + dx) * reach] * task.similar + k];
                const Index source = there - (dy * task.row + dx) * reach;
                attempt(task, pixel, std::min(std::max<Index>(source, 0), task.sources - 1), task.factor);
            }
}

// The colours of the last rows of the wide field that were read, as many as a window has.
struct Rows {
    Index below; // the first row that has not been read
    std::vector<std::int16_t> colours;
};

// The window of the pixel (y, x), where y never goes back.
INLINE void read(const Sweep &task, Rows &rows, Index y, Index x, std::int16_t *window) {
    const Index stride = task.width + 2 * task.margin, patch = 2 * task.margin + 1;
    for (rows.below = std::max(rows.below, y); rows.below < y + patch; ++rows.below) {
        const Index *sources = task.wide + rows.below * stride;
        std::int16_t *colours = rows.colours.data() + rows.below % patch * stride * 3;
        for (Index column = 0; column < stride; ++column)
            std::copy_n(task.colours + 3 * sources[column], 3, colours + 3 * column);
    }
    for (Index part = 0; part < patch; ++part)
        std::copy_n(rows.colours.data() + ((y + part) % patch * stride + x) * 3, 3 * patch, window + 3 * part * patch);
}

// Of the active pixels, in reading order, those from `first` on, below `last`; before: how many lie before each row.
FOR_EACH_PROCESSOR void improve(const Sweep &task, const Directions &directions, const std::vector<Index> &before,
                                Index first, Index last) {
    const Index width = task.width, stride = width + 2 * task.margin, components = directions.count;
    Rows rows = {0, std::vector<std::int16_t>(3 * stride * directions.patch)};
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
    const Directions directions(weights.data(), centre.data(), unit, weights.shape(0), patch);
    Sweep task = {};
    task.wide = wide.data(), task.active = active.data(), task.margin = patch / 2, task.row = row;
    task.height = active.shape(0), task.width = active.shape(1), task.colours = colours.data();
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
