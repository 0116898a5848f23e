// Seams mended by coherent candidates (Ashikhmin 2001; Lefebvre & Hoppe 2005): texsynth/field/magnify/mend.py
#include "binding.hpp"

#include <cmath>
#include <cstring>
#include <optional>
#include <tuple>

#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>

namespace {

using Pointer = std::int32_t;
using Byte = std::uint8_t;

constexpr Index WHOLE_NUMBERS = 16; // in a vector register
constexpr Index TOGETHER = 8;       // pixels of which it is asked at once whether any has something to take

struct Mend { // mend._mend_strip
    const Pointer *wide; // (height + 2 margin, width + 2 margin)
    const bool *valid;   // (N,)
    const Byte *colours; // (N, 3)
    Index sources, row, height, width, margin;
    const bool *fixed; // (height, width), or none
    float unit;
    const float *table, *goal, *strength; // (N, G), (height, width, G) twice
    Index goals;
    Pointer *out; // (height, width)

    INLINE_MEMBER Index stride() const { return width + 2 * margin; }
};

// The weights of a window, its rows padded with nothing to whole vectors, and the order in which they are summed.
struct Weights {
    Index length;
    std::vector<std::int16_t> rows;
    std::vector<Index> order; // from the middle on, as most of a difference lies there

    Weights(const std::int16_t *given, Index patch) {
        length = (3 * patch + WHOLE_NUMBERS - 1) / WHOLE_NUMBERS * WHOLE_NUMBERS;
        rows.assign(patch * length, 0);
        for (Index part = 0; part < patch; ++part)
            for (Index k = 0; k < 3 * patch; ++k)
                rows[part * length + k] = given[part * patch + k / 3];
        for (Index part = 0; part < patch; ++part)
            order.push_back(patch / 2 + (part % 2 ? (part + 1) / 2 : -part / 2));
    }
};

// The colours of the last rows of the wide strip that were read, as many as a window has.
struct Rows {
    Index below, length; // the first row that has not been read, and the bytes of each
    std::vector<Byte> colours;
};

INLINE void read_to(const Mend &task, Rows &rows, Index y) {
    const Index stride = task.stride(), patch = 2 * task.margin + 1;
    for (rows.below = std::max(rows.below, y); rows.below < y + patch; ++rows.below) {
        const Pointer *sources = task.wide + rows.below * stride;
        Byte *colours = rows.colours.data() + rows.below % patch * rows.length;
        for (Index first = 0, end = 1; first < stride; first = end++) { // pixels that continue each other
            while (end < stride && sources[end] == sources[end - 1] + 1)
                ++end;
            std::memcpy(colours + 3 * first, task.colours + 3 * Index(sources[first]), 3 * (end - first));
        }
    }
}

INLINE std::int32_t weighted(const Byte *a, const Byte *b, const std::int16_t *weights, Index length) {
    std::int32_t sum = 0;
    for (Index k = 0; k < length; ++k) {
        const std::int16_t difference = std::int16_t(a[k]) - std::int16_t(b[k]);
        const std::int16_t share = difference * weights[k];
        sum += std::int32_t(difference) * share;
    }
    return sum;
}

// A pixel, the window round it, and the best that has been tried.
struct Pixel {
    Index y, x, source;
    float total;
};

INLINE float price_of(const Mend &task, const Pixel &pixel, Index source) {
    float price = 0;
    for (Index g = 0; g < task.goals; ++g) {
        const Index at = (pixel.y * task.width + pixel.x) * task.goals + g;
        const float missed = task.table[source * task.goals + g] - task.goal[at];
        price += missed * missed * task.strength[at];
    }
    return price;
}

// The colours of a source and of those to its right, as many as `bytes`, also where these are not all in the table.
INLINE const Byte *line(const Mend &task, Index source, Index bytes, Byte *room) {
    if (source >= 0 && 3 * source + bytes <= 3 * task.sources)
        return task.colours + 3 * source;
    for (Index k = 0; k < bytes; ++k)
        room[k] = task.colours[3 * std::min(std::max<Index>(source + k / 3, 0), task.sources - 1) + k % 3];
    return room;
}

// Takes a source if it costs less than the best; no sum is taken further than that.
INLINE void attempt(const Mend &task, const Weights &weights, const Rows &rows, Pixel &pixel, Index source, Byte *room) {
    const float price = price_of(task, pixel, source);
    std::int64_t sum = 0;
    float total = price;
    for (Index part : weights.order) {
        const Byte *there = line(task, source + (part - task.margin) * task.row - task.margin, weights.length, room);
        const Byte *here = rows.colours.data() + (pixel.y + part) % (2 * task.margin + 1) * rows.length + 3 * pixel.x;
        sum += weighted(here, there, weights.rows.data() + part * weights.length, weights.length);
        total = float(sum) * task.unit + price;
        if (!(total < pixel.total))
            return;
    }
    pixel.source = source, pixel.total = total;
}

// Whether one of the eight neighbours of each pixel of a row goes on to something else.
INLINE void mark(const Mend &task, Index y, Byte *differs) {
    const Index stride = task.stride();
    const Pointer *here = task.wide + (y + task.margin) * stride + task.margin;
    const Pointer *above = here - stride, *below = here + stride;
    const std::uint32_t row = std::uint32_t(task.row);
    for (Index x = 0; x < task.width; ++x) {
        const std::uint32_t up = std::uint32_t(here[x]) - row, middle = here[x], down = std::uint32_t(here[x]) + row;
        differs[x] = (std::uint32_t(above[x - 1]) != up - 1) | (std::uint32_t(above[x]) != up) |
                     (std::uint32_t(above[x + 1]) != up + 1) | (std::uint32_t(here[x - 1]) != middle - 1) |
                     (std::uint32_t(here[x + 1]) != middle + 1) | (std::uint32_t(below[x - 1]) != down - 1) |
                     (std::uint32_t(below[x]) != down) | (std::uint32_t(below[x + 1]) != down + 1);
    }
}

INLINE Pointer mended_pixel(const Mend &task, const Weights &weights, Rows &rows, Index y, Index x, Byte *room) {
    const Index stride = task.stride();
    const Pointer *here = task.wide + (y + task.margin) * stride + x + task.margin;
    Index candidates[8];
    int count = 0;
    for (int dy = -1; dy <= 1; ++dy)
        for (int dx = -1; dx <= 1; ++dx) {
            const Index source = here[dy * stride + dx] - (dy * task.row + dx);
            if (source != *here && source >= 0 && source < task.sources && task.valid[source] &&
                std::find(candidates, candidates + count, source) == candidates + count)
                candidates[count++] = source;
        }
    if (count == 0)
        return *here;
    read_to(task, rows, y);
    Pixel pixel = {y, x, *here, HUGE_VALF};
    attempt(task, weights, rows, pixel, *here, room);
    for (int n = 0; n < count; ++n)
        attempt(task, weights, rows, pixel, candidates[n], room);
    return Pointer(pixel.source);
}

FOR_EACH_PROCESSOR void mend(const Mend &task, const Weights &weights, Index first, Index last) {
    const Index width = task.width, length = 3 * task.stride() + weights.length;
    Rows rows = {first, length, std::vector<Byte>(length * (2 * task.margin + 1), 0)};
    std::vector<Byte> differs(width + TOGETHER, 0), room(weights.length);
    for (Index y = first; y < last; ++y) {
        mark(task, y, differs.data());
        for (Index start = 0; start < width; start += TOGETHER) {
            std::uint64_t any;
            std::memcpy(&any, differs.data() + start, TOGETHER);
            for (Index x = start; any && x < std::min(start + TOGETHER, width); ++x) {
                const Index at = y * width + x;
                if (differs[x] && !(task.fixed && task.fixed[at]))
                    task.out[at] = mended_pixel(task, weights, rows, y, x, room.data());
            }
        }
    }
}

using Guides = std::tuple<Array<float, 2>, Array<float, 3>, Array<float, 3>>; // table, goal, strength

void mended(int threads, Array<Pointer, 2> wide, Array<bool, 1> valid, Array<Byte, 2> colours, Index row,
            Array<std::int16_t, 2> weights, std::optional<Array<bool, 2>> fixed, float unit, std::optional<Guides> guides,
            nb::ndarray<Pointer, nb::ndim<2>, nb::c_contig, nb::device::cpu> out) {
    Mend task = {};
    task.wide = wide.data(), task.valid = valid.data(), task.colours = colours.data(), task.sources = valid.shape(0);
    task.row = row, task.height = out.shape(0), task.width = out.shape(1), task.margin = weights.shape(0) / 2;
    task.fixed = fixed ? fixed->data() : nullptr, task.unit = unit, task.out = out.data();
    if (guides) {
        const auto &[table, goal, strength] = *guides;
        task.table = table.data(), task.goal = goal.data(), task.strength = strength.data(), task.goals = table.shape(1);
    }
    const Weights prepared(weights.data(), weights.shape(0));
    nb::gil_scoped_release released;
    in_parts(task.height, threads, 16, [&](Index first, Index last) { mend(task, prepared, first, last); });
}

} // namespace

void bind_mend(nb::module_ &module) {
    module.def("mended", mended);
}
