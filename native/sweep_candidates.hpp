// What a pass tries for a pixel (Ashikhmin 2001, coherence; Tong et al. 2002, k-coherence): texsynth/field/sweep.py
#pragma once

#include "core.hpp"

namespace {

struct Sweep { // sweep.sweep
    const Index *wide;  // (height + 2 margin, width + 2 margin)
    const bool *active; // (height, width)
    Index height, width, margin, row; // of the field, of the atlas
    const std::int16_t *colours;      // (N, C)
    Index channels;
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

} // namespace
