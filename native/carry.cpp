// Pointers of a finer field (Lefebvre & Hoppe 2005, synthesis magnification): texsynth/field/magnify/carry.py
#include "binding.hpp"
#include "turns.hpp"

#include <cstring>

namespace {

using Pointer = std::int32_t;

struct Carry { // carry.carry, of some rows
    const Pointer *coarse; // (n, coarse_width)
    Index coarse_rows, coarse_row, coarse_margin;
    Planes planes;
    const bool *valid; // (N,)
    Index sources, factor, width, coarse_width;
    Pointer *out; // (up to n * factor, width)
};

struct Source {
    Index plane, y, x; // without the padding
};

Source split(const Carry &task, Index pointer) {
    const std::uint32_t plane = std::uint32_t(pointer) / std::uint32_t(task.coarse_rows * task.coarse_row);
    const std::uint32_t rest = std::uint32_t(pointer) - plane * std::uint32_t(task.coarse_rows * task.coarse_row);
    const std::uint32_t y = rest / std::uint32_t(task.coarse_row), x = rest - y * std::uint32_t(task.coarse_row);
    return {plane, Index(y) - task.coarse_margin, Index(x) - task.coarse_margin};
}

// The first usable pixel of the coarse pixel, in reading order; without any, the first after `source`, round and round.
Index usable(const Carry &task, const Source &parent, Index source) {
    for (Index i = 0; i < task.factor; ++i)
        for (Index j = 0; j < task.factor; ++j) {
            const Index other = task.planes.join(parent.plane, parent.y * task.factor + i, parent.x * task.factor + j);
            if (task.valid[other])
                return other;
        }
    const void *next = std::memchr(task.valid + source, 1, task.sources - source);
    next = next ? next : std::memchr(task.valid, 1, source);
    return next ? static_cast<const bool *>(next) - task.valid : source;
}

void carry(const Carry &task, Index first, Index last) {
    for (Index y = first; y < last; ++y) {
        const Pointer *parents = task.coarse + y / task.factor * task.coarse_width;
        Pointer *out = task.out + y * task.width;
        const Index i = y % task.factor;
        Source parent = {};
        for (Index c = 0, x = 0; x < task.width; ++c) {
            const bool goes_on = c > 0 && parents[c] == parents[c - 1] + 1 && parent.x + 1 < task.coarse_row - task.coarse_margin;
            if (goes_on)
                ++parent.x;
            else
                parent = split(task, parents[c]);
            for (Index j = 0; j < task.factor && x < task.width; ++j, ++x) {
                Index source = task.planes.join(parent.plane, parent.y * task.factor + i, parent.x * task.factor + j);
                out[x] = Pointer(task.valid[source] ? source : usable(task, parent, source));
            }
        }
    }
}

void carried(int threads, Array<Pointer, 2> coarse, Index coarse_rows, Index coarse_row, Index coarse_margin,
             Array<Index, 2> shapes, Index rows, Index row, Index margin, Array<bool, 1> valid, Index factor,
             nb::ndarray<Pointer, nb::ndim<2>, nb::c_contig, nb::device::cpu> out) {
    const Carry task = {coarse.data(),          coarse_rows,
                        coarse_row,             coarse_margin,
                        {shapes.data(), rows, row, margin}, valid.data(),
                        Index(valid.shape(0)),  factor,
                        Index(out.shape(1)),    Index(coarse.shape(1)),
                        out.data()};
    nb::gil_scoped_release released;
    in_parts(out.shape(0), threads, 16, [&](Index first, Index last) { carry(task, first, last); });
}

} // namespace

void bind_carry(nb::module_ &module) {
    module.def("carried", carried);
}
