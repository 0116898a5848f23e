// Pieces of a field of any size that slide by a pixel to where their seams cost less (seams: Kwatra et al. 2003, eq. 1):
// texsynth/field/magnify/slide.py
#include "binding.hpp"

#include <cstring>
#include <optional>

#include <nanobind/stl/optional.h>

namespace {

using Pointer = std::int32_t;
using Byte = std::uint8_t;

template <class T, int dimensions> using Room = nb::ndarray<T, nb::ndim<dimensions>, nb::c_contig, nb::device::cpu>;

constexpr Index TOGETHER = 8; // pixels of which it is asked at once whether any is at a seam

// The numbers of pieces by their displacements, (P,), rising. Neighbours ask for the same few again and again.
class Numbers {
  public:
    Numbers(const Index *displacement, Index count) : displacement(displacement), count(count), kept(SLOTS, -1) {}

    Index of(Index wanted) {
        Index &number = kept[std::uint64_t(wanted) * 0x9E3779B97F4A7C15u >> (64 - BITS)];
        if (number < 0 || displacement[number] != wanted)
            number = std::lower_bound(displacement, displacement + count, wanted) - displacement;
        return number;
    }

  private:
    static constexpr int BITS = 12;
    static constexpr Index SLOTS = Index(1) << BITS;
    const Index *displacement;
    Index count;
    std::vector<Index> kept;
};

struct Pieces { // slide._Pieces
    const Index *displacement, *shift, *group;
    Index count;
    const bool *turn; // (groups,)
};

struct Strip { // slide._add_costs
    const Pointer *wide; // (rows + 2, width + 2)
    Index top, rows, height, width;
    bool wraps_y, wraps_x;
    Index row;
    const Byte *colours; // (N, 3)
    Index sources;
    Index *cost; // (groups, 9)
};

struct Seam { // neighbours that do not continue each other by now
    Index a, b, of_a, of_b;
    bool down;
};

// Which pixels of a row do not go on below (1) and to the right (2), or have these neighbours across the wrap.
INLINE void mark(const Strip &task, Index y, Byte *marks) {
    const Pointer *here = task.wide + (y + 1) * (task.width + 2) + 1, *below = here + task.width + 2;
    const std::uint32_t row = std::uint32_t(task.row);
    for (Index x = 0; x < task.width; ++x)
        marks[x] = (std::uint32_t(below[x]) != std::uint32_t(here[x]) + row) |
                   (std::uint32_t(here[x + 1]) != std::uint32_t(here[x]) + 1) << 1;
    const bool last = task.top + y + 1 == task.height;
    for (Index x = 0; last && x < task.width; ++x)
        marks[x] = task.wraps_y ? marks[x] | 1 : marks[x] & 2;
    Byte &end = marks[task.width - 1];
    end = task.wraps_x ? end | 2 : end & 1;
}

FOR_EACH_PROCESSOR void find_seams(const Strip &task, const Pieces &pieces, Index first, Index last, std::vector<Seam> &seams) {
    Numbers numbers(pieces.displacement, pieces.count);
    std::vector<Byte> marks(task.width + TOGETHER, 0);
    for (Index y = first; y < last; ++y) {
        mark(task, y, marks.data());
        const Pointer *here = task.wide + (y + 1) * (task.width + 2) + 1, *below = here + task.width + 2;
        const Index down = (task.top + y + 1) % task.height;
        for (Index start = 0; start < task.width; start += TOGETHER) {
            std::uint64_t any;
            std::memcpy(&any, marks.data() + start, TOGETHER);
            for (Index x = start; any && x < std::min(start + TOGETHER, task.width); ++x) {
                if (!marks[x])
                    continue;
                const Index of_a = numbers.of(here[x] - (task.top + y) * task.row - x);
                for (int side = 0; side < 2; ++side) {
                    if (!(marks[x] >> side & 1))
                        continue;
                    const Index next = side ? here[x + 1] : below[x], right = (x + 1) % task.width;
                    const Index of_b = numbers.of(side ? next - (task.top + y) * task.row - right : next - down * task.row - x);
                    const Index a = here[x] + pieces.shift[of_a], b = next + pieces.shift[of_b];
                    const Index one = pieces.group[of_a], other = pieces.group[of_b];
                    if (b != a + (side ? 1 : task.row) && (pieces.turn[one] || pieces.turn[other]))
                        seams.push_back({a, b, one, other, !side});
                }
            }
        }
    }
}

INLINE const Byte *colour(const Strip &task, Index source) {
    return task.colours + 3 * std::min(std::max<Index>(source, 0), task.sources - 1);
}

INLINE std::int32_t squares(const Byte *a, const Byte *b) {
    const std::int32_t x = a[0] - b[0], y = a[1] - b[1], z = a[2] - b[2];
    return x * x + y * y + z * z;
}

// Adds the costs of the seams to those of the groups that are `part` of so many: no two threads add to the same.
void add_costs(const Strip &task, const Pieces &pieces, const std::vector<std::vector<Seam>> &seams, Index part, Index parts) {
    for (const std::vector<Seam> &some : seams)
        for (const Seam &seam : some) {
            const Index stride = seam.down ? task.row : 1;
            if (pieces.turn[seam.of_a] && seam.of_a % parts == part) {
                const Byte *before = colour(task, seam.b - stride), *there = colour(task, seam.b);
                for (Index s = 0; s < 9; ++s) {
                    const Index a = seam.a + (s / 3 - 1) * task.row + s % 3 - 1;
                    task.cost[seam.of_a * 9 + s] += squares(colour(task, a), before) + squares(colour(task, a + stride), there);
                }
            }
            if (pieces.turn[seam.of_b] && seam.of_b % parts == part) {
                const Byte *here = colour(task, seam.a), *after = colour(task, seam.a + stride);
                for (Index s = 0; s < 9; ++s) {
                    const Index b = seam.b + (s / 3 - 1) * task.row + s % 3 - 1;
                    task.cost[seam.of_b * 9 + s] += squares(here, colour(task, b - stride)) + squares(after, colour(task, b));
                }
            }
        }
}

void slide_costs(int threads, Array<Pointer, 2> wide, Index top, Index height, Index width, bool wraps_y, bool wraps_x,
                 Index row, Array<Byte, 2> colours, Array<Index, 1> displacement, Array<Index, 1> shift,
                 Array<Index, 1> group, Array<bool, 1> turn, Room<Index, 2> cost) {
    const Strip task = {wide.data(), top, Index(wide.shape(0)) - 2, height, width, wraps_y, wraps_x, row,
                        colours.data(), Index(colours.shape(0)), cost.data()};
    const Pieces pieces = {displacement.data(), shift.data(), group.data(), Index(displacement.shape(0)), turn.data()};
    nb::gil_scoped_release released;
    const Index parts = std::max<Index>(1, std::min<Index>(threads, task.rows / 16));
    std::vector<std::vector<Seam>> seams(parts);
    in_parts(parts, threads, 1, [&](Index first, Index last) {
        for (Index part = first; part < last; ++part)
            find_seams(task, pieces, part * task.rows / parts, (part + 1) * task.rows / parts, seams[part]);
    });
    in_parts(parts, threads, 1, [&](Index first, Index last) {
        for (Index part = first; part < last; ++part)
            add_costs(task, pieces, seams, part, parts);
    });
}

// Calls work(first column, row after the last, number of the piece) for what is copied in one piece of a row.
template <class Work>
INLINE void each_run(const Pointer *index, Index width, Index place, Numbers &numbers, const Work &work) {
    for (Index first = 0, end = 1; first < width; first = end++) {
        while (end < width && index[end] == index[end - 1] + 1)
            ++end;
        work(first, end, numbers.of(index[first] - place - first));
    }
}

void slide_stuck(int threads, Array<Pointer, 2> index, Index top, Index row, Array<bool, 1> valid,
                 std::optional<Array<bool, 2>> fixed, Array<Index, 1> displacement, Array<Index, 1> shift,
                 Array<Index, 1> move, Room<bool, 1> stuck) {
    const Index width = index.shape(1), sources = valid.shape(0), rows = index.shape(0);
    nb::gil_scoped_release released;
    const Index parts = std::max<Index>(1, std::min<Index>(threads, rows / 16));
    std::vector<std::vector<Index>> all(parts);
    in_parts(parts, threads, 1, [&](Index begin, Index stop) {
        Numbers numbers(displacement.data(), displacement.shape(0));
        for (Index y = begin * rows / parts; y < stop * rows / parts; ++y) {
            const Pointer *line = index.data() + y * width;
            each_run(line, width, (top + y) * row, numbers, [&](Index first, Index end, Index piece) {
                if (move.data()[piece] == 0)
                    return;
                const Index source = line[first] + shift.data()[piece];
                if (source < 0 || source + end - first > sources || std::memchr(valid.data() + source, 0, end - first) ||
                    (fixed && std::memchr(fixed->data() + y * width + first, 1, end - first)))
                    all[begin].push_back(piece);
            });
        }
    });
    for (const std::vector<Index> &some : all)
        for (Index piece : some)
            stuck.data()[piece] = true;
}

void slide_move(int threads, Room<Pointer, 2> index, Index top, Index row, Array<Index, 1> displacement, Array<Index, 1> shift) {
    const Index width = index.shape(1);
    nb::gil_scoped_release released;
    in_parts(index.shape(0), threads, 16, [&](Index begin, Index stop) {
        Numbers numbers(displacement.data(), displacement.shape(0));
        for (Index y = begin; y < stop; ++y) {
            Pointer *line = index.data() + y * width;
            each_run(line, width, (top + y) * row, numbers, [&](Index first, Index end, Index piece) {
                for (Index x = first; x < end; ++x)
                    line[x] += Pointer(shift.data()[piece]);
            });
        }
    });
}

} // namespace

void bind_slide(nb::module_ &module) {
    module.def("slide_costs", slide_costs);
    module.def("slide_stuck", slide_stuck);
    module.def("slide_move", slide_move);
}
