// The cheapest candidates of a pass (Ashikhmin 2001, coherence; Tong et al. 2002, k-coherence): texsynth/field/sweep.py
#include "binding.hpp"

namespace {

struct Sweep { // sweep._best_candidates
    const Index *strip; // (height + 2 margin, width + 2 margin)
    Index width, margin, row;  // of the strip, of the atlas
    const float *windows; // (height * width, components)
    const Index *pixels;  // (n,)
    Index components;
    const float *table;        // (N, components)
    const std::int32_t *jumps; // (N, similar)
    Index sources, similar;
    const float *price; // (N,)
    float factor;
    const float *guides, *goal, *strength; // (N, G), (n, G), (n, G)
    Index goals;
    const Index *extra; // (extras, n)
    Index extras, n;
    Index *best;     // (n,)
    float *distance; // (n,)
};

struct Best {
    Index source;
    float distance, total;
};

// What a source costs a pixel, without the distance of windows.
INLINE float price_of(const Sweep &task, Index n, Index source) {
    float price = 0;
    for (Index g = 0; g < task.goals; ++g) {
        const float missed = task.guides[source * task.goals + g] - task.goal[n * task.goals + g];
        price += missed * missed * task.strength[n * task.goals + g];
    }
    return task.price[source] + price;
}

INLINE void attempt(const Sweep &task, Index n, const float *window, Index source, float factor, Best &best) {
    if (source == best.source)
        return;
    const float price = price_of(task, n, source);
    if (!(price < best.total)) // a distance is never below 0
        return;
    const float distance = squared_distance(task.table + source * task.components, window, task.components);
    const float total = distance * factor + price;
    if (total < best.total)
        best = {source, distance, total};
}

FOR_EACH_PROCESSOR void find_best(const Sweep &task, Index first, Index last) {
    const Index stride = task.width + 2 * task.margin;
    for (Index n = first; n < last; ++n) {
        const Index pixel = task.pixels[n];
        const float *window = task.windows + pixel * task.components;
        const Index *here = task.strip + (pixel / task.width + task.margin) * stride + pixel % task.width + task.margin;
        const float distance = squared_distance(task.table + *here * task.components, window, task.components);
        Best best = {*here, distance, distance + price_of(task, n, *here)};
        // What is copied now, and what the neighbours continue to, each once.
        Index coherent[9] = {*here};
        int count = 1;
        for (int dy = -1; dy <= 1; ++dy)
            for (int dx = -1; dx <= 1; ++dx) {
                const Index source = here[dy * stride + dx] - (dy * task.row + dx);
                if (source < 0 || source >= task.sources || std::find(coherent, coherent + count, source) != coherent + count)
                    continue;
                coherent[count++] = source;
                attempt(task, n, window, source, 1.0f, best);
            }
        for (Index k = 0; k < task.similar; ++k)
            for (int c = 0; c < count; ++c)
                attempt(task, n, window, task.jumps[coherent[c] * task.similar + k], task.factor, best);
        for (Index e = 0; e < task.extras; ++e)
            attempt(task, n, window, task.extra[e * task.n + n], task.factor, best);
        task.best[n] = best.source;
        task.distance[n] = best.distance;
    }
}

nb::tuple best_candidates(int threads, Array<Index, 2> strip, Index margin, Index row, Array<float, 2> windows,
                                 Array<Index, 1> pixels, Array<float, 2> table, Array<std::int32_t, 2> jumps,
                                 Array<float, 1> price, float factor, Array<float, 2> guides, Array<float, 2> goal,
                                 Array<float, 2> strength, Array<Index, 2> extra) {
    Sweep task = {};
    task.strip = strip.data(), task.margin = margin, task.width = strip.shape(1) - 2 * margin, task.row = row;
    task.windows = windows.data(), task.table = table.data(), task.components = table.shape(1);
    task.pixels = pixels.data(), task.n = pixels.shape(0), task.sources = table.shape(0);
    task.jumps = jumps.data(), task.similar = jumps.shape(1), task.price = price.data(), task.factor = factor;
    task.guides = guides.data(), task.goal = goal.data(), task.strength = strength.data();
    task.goals = guides.shape(1), task.extra = extra.data(), task.extras = extra.shape(0);
    Result<Index> best = empty<Index>({pixels.shape(0)});
    Result<float> distance = empty<float>({pixels.shape(0)});
    task.best = best.data(), task.distance = distance.data();
    {
        nb::gil_scoped_release released;
        in_parts(task.n, threads, 512, [&](Index first, Index last) { find_best(task, first, last); });
    }
    return nb::make_tuple(best, distance);
}

} // namespace

void bind_sweep(nb::module_ &module) {
    module.def("best_candidates", best_candidates);
}
