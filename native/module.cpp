// The module texsynth.native._core: tensors in, tensors out. Each function does what its twin of the same name does.
#include "core.hpp"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

namespace nb = nanobind;

template <class T, int dimensions>
using Array = nb::ndarray<const T, nb::ndim<dimensions>, nb::c_contig, nb::device::cpu>;
template <class T> using Result = nb::ndarray<nb::pytorch, T, nb::c_contig>;

// A new tensor, of whatever is in the memory.
template <class T> static Result<T> empty(std::initializer_list<size_t> shape) {
    size_t count = 1;
    for (size_t n : shape)
        count *= n;
    T *data = new T[count];
    return Result<T>(data, shape, nb::capsule(data, [](void *p) noexcept { delete[] static_cast<T *>(p); }));
}

static nb::tuple path(int threads, Array<float, 3> error, float slope) {
    const size_t count = error.shape(0), rows = error.shape(1);
    if (rows == 0 || error.shape(2) == 0)
        throw nb::value_error("a path needs a row and a column");
    Result<Index> at = empty<Index>({count, rows});
    Result<float> cost = empty<float>({count});
    const Paths task = {error.data(), Index(rows), Index(error.shape(2)), slope, at.data(), cost.data()};
    {
        nb::gil_scoped_release released;
        in_parts(count, threads, 32, [&](Index first, Index last) { find_paths(task, first, last); });
    }
    return nb::make_tuple(at, cost);
}

static nb::tuple best_candidates(int threads, Array<Index, 2> strip, Index margin, Index row, Array<float, 2> windows,
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

static Result<bool> near_seams(int threads, Array<Index, 2> wide, Array<bool, 1> valid, Index radius, Index row) {
    const Index height = wide.shape(0) - 2 * radius - 2, width = wide.shape(1) - 2 * radius - 2;
    Result<bool> near = empty<bool>({size_t(height), size_t(width)});
    const Seams task = {wide.data(), valid.data(), height, width, radius, row, near.data()};
    {
        nb::gil_scoped_release released;
        mark_near_seams(task, threads);
    }
    return near;
}

static Result<float> costs_of_shifts(int threads, Array<Index, 2> index, Array<Index, 2> labels, Index pieces,
                                     Array<float, 2> colours, Index row, bool wraps_y, bool wraps_x) {
    Result<float> cost = empty<float>({size_t(pieces), 9});
    std::fill_n(cost.data(), cost.size(), 0.0f);
    Shifts task = {};
    task.index = index.data(), task.labels = labels.data(), task.height = index.shape(0), task.width = index.shape(1);
    task.colours = colours.data(), task.sources = colours.shape(0), task.row = row;
    task.wraps_y = wraps_y, task.wraps_x = wraps_x, task.cost = cost.data();
    {
        nb::gil_scoped_release released;
        in_parts(9, threads, 1, [&](Index first, Index last) { sum_costs_of_shifts(task, first, last); });
    }
    return cost;
}

static Result<Index> best_around(int threads, Array<float, 2> table, Array<Index, 1> asking, Array<Index, 1> centre,
                                 Index row, Array<bool, 1> described) {
    Result<Index> pick = empty<Index>({asking.shape(0)});
    const Around task = {table.data(), Index(table.shape(1)), row, asking.data(), centre.data(), described.data(), pick.data()};
    {
        nb::gil_scoped_release released;
        in_parts(asking.shape(0), threads, 512, [&](Index first, Index last) { find_around(task, first, last); });
    }
    return pick;
}

static Result<Index> nearest_apart(int threads, Array<float, 2> distance, Array<float, 2> at, Array<float, 2> at_keys,
                                   Index count, float apart) {
    Result<Index> picks = empty<Index>({distance.shape(0), size_t(count)});
    const Apart task = {distance.data(), Index(distance.shape(1)), count, at.data(), at_keys.data(), apart, picks.data()};
    {
        nb::gil_scoped_release released;
        in_parts(distance.shape(0), threads, 16, [&](Index first, Index last) { find_apart(task, first, last); });
    }
    return picks;
}

static Result<float> relaxed(int threads, Array<float, 4> down, Array<float, 4> right, Array<float, 4> hold,
                             Array<float, 4> step, Array<float, 4> x, Array<float, 4> goal, int sweeps) {
    const size_t channels = x.shape(1), height = x.shape(2), width = x.shape(3);
    Result<float> now = empty<float>({1, channels, height, width}), next = empty<float>({1, channels, height, width});
    {
        nb::gil_scoped_release released;
        std::copy_n(x.data(), x.size(), now.data());
        for (int sweep = 0; sweep < sweeps; ++sweep) {
            const Relaxation task = {down.data(), right.data(), hold.data(),   step.data(), goal.data(),
                                     now.data(),  Index(height), Index(width), next.data()};
            const Index least = 1 + (1 << 15) / Index(width);
            in_parts(channels * height, threads, least, [&](Index first, Index last) { relax(task, first, last); });
            std::swap(now, next);
        }
    }
    return now;
}

static Result<float> standardised(int threads, Array<float, 2> components, Array<float, 1> mean, float scale) {
    const size_t count = components.shape(0), windows = components.shape(1);
    Result<float> table = empty<float>({windows, count});
    const Descriptors task = {components.data(), mean.data(), Index(count), Index(windows), scale, table.data()};
    {
        nb::gil_scoped_release released;
        in_parts(windows, threads, 4096, [&](Index first, Index last) { standardise(task, first, last); });
    }
    return table;
}

static Result<float> sums_of_sites(int threads, Array<float, 2> values, Array<Index, 2> sites, Array<float, 1> weight) {
    const size_t rows = values.shape(0), pieces = sites.shape(0), cells = values.shape(1);
    Result<float> sums = empty<float>({rows, pieces});
    {
        nb::gil_scoped_release released;
        std::vector<float> turned(rows * cells);
        for (size_t row = 0; row < rows; ++row)
            for (size_t cell = 0; cell < cells; ++cell)
                turned[cell * rows + row] = values.data()[row * cells + cell];
        const Sites task = {turned.data(), weight.data(), sites.data(), Index(rows), Index(pieces), Index(sites.shape(1)),
                            sums.data()};
        in_parts(pieces, threads, 512, [&](Index first, Index last) { sum_sites(task, first, last); });
    }
    return sums;
}

// The instruction set that the loader has chosen.
static const char *instructions() {
#ifdef TEXSYNTH_CLONES
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") ? "AVX2" : "plain";
#else
    return "plain";
#endif
}

NB_MODULE(_core, module) {
    module.attr("VERSION") = 3; // as in texsynth/native/__init__.py: raised with every change of an argument
    module.def("path", path);
    module.def("best_candidates", best_candidates);
    module.def("near_seams", near_seams);
    module.def("costs_of_shifts", costs_of_shifts);
    module.def("best_around", best_around);
    module.def("nearest_apart", nearest_apart);
    module.def("relaxed", relaxed);
    module.def("standardised", standardised);
    module.def("sums_of_sites", sums_of_sites);
    module.def("instructions", instructions);
}
