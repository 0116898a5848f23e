// A coarse change of colours at a finer level (Kopf et al. 2007, joint bilateral upsampling):
// texsynth/field/magnify/tone.py
#include "binding.hpp"

namespace {

using Pointer = std::int32_t;

struct Field {
    const Pointer *index; // (height, width)
    Index height, width;
    std::uint32_t rows, row; // of the planes, with their padding
    std::int32_t margin;
};

struct Enlarge { // tone.enlarged
    const float *change; // (3, coarse.height, coarse.width)
    Field coarse, fine;  // of the latter some rows
    Index factor, top;
    bool wraps_y, wraps_x;
    std::int32_t apart;
    float *out; // (3, fine.height, fine.width)
};

// A plane, and by how much the source is ahead of the place in the output; of a coarse pixel in fine pixels.
struct Way {
    std::int32_t plane, y, x;
};

Way split(const Field &field, Pointer pointer) {
    const std::uint32_t size = field.rows * field.row, plane = std::uint32_t(pointer) / size;
    const std::uint32_t rest = std::uint32_t(pointer) - plane * size, y = rest / field.row;
    return {std::int32_t(plane), std::int32_t(y) - field.margin, std::int32_t(rest - y * field.row) - field.margin};
}

INLINE Index floored(Index a, Index b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

INLINE Index wrapped(Index a, Index length) { return a - floored(a, length) * length; }

// The coarse row `y` with the pixel before and the one after it, (width + 2,): planes are below 0 where nothing counts.
void read(const Enlarge &task, Index y, std::vector<Way> &ways) {
    const Field &coarse = task.coarse;
    for (Index x = -1; x <= coarse.width; ++x) {
        Way &way = ways[x + 1] = {-1, 0, 0};
        if ((task.wraps_y || (y >= 0 && y < coarse.height)) && (task.wraps_x || (x >= 0 && x < coarse.width))) {
            way = split(coarse, coarse.index[wrapped(y, coarse.height) * coarse.width + wrapped(x, coarse.width)]);
            way.y = (way.y - y) * task.factor, way.x = (way.x - x) * task.factor;
        }
    }
}

struct Between { // a coarse pixel before the middle of a fine one, and the weight of the next one
    Index first;
    float share;

    Between(Index at, Index factor) {
        const Index past = 2 * at + 1 - factor;
        first = floored(past, 2 * factor);
        share = float(past - first * 2 * factor) / float(2 * factor);
    }
};

INLINE bool same(const Way &a, const Way &b, std::int32_t apart) {
    return a.plane == b.plane && a.y - b.y <= apart && b.y - a.y <= apart && a.x - b.x <= apart && b.x - a.x <= apart;
}

void enlarge(const Enlarge &task, Index start, Index stop) {
    const Field &coarse = task.coarse, &fine = task.fine;
    std::vector<Way> ways[2] = {std::vector<Way>(coarse.width + 2), std::vector<Way>(coarse.width + 2)};
    std::vector<Between> across;
    for (Index x = 0; x < fine.width; ++x)
        across.emplace_back(x, task.factor);
    Index before = -2; // the coarse row that was read last
    for (Index y = start; y < stop; ++y) {
        const Between down(task.top + y, task.factor);
        if (down.first != before)
            read(task, down.first, ways[0]), read(task, down.first + 1, ways[1]), before = down.first;
        const float *rows[2] = {task.change + wrapped(down.first, coarse.height) * coarse.width,
                                task.change + wrapped(down.first + 1, coarse.height) * coarse.width};
        const float *parents = task.change + (task.top + y) / task.factor * coarse.width;
        Way way = {};
        for (Index x = 0; x < fine.width; ++x) {
            const Pointer *here = fine.index + y * fine.width + x;
            if (x == 0 || *here != here[-1] + 1) {
                way = split(fine, *here);
                way.y -= std::int32_t(task.top + y), way.x -= std::int32_t(x);
            }
            float total[3] = {}, weight = 0;
            for (int part = 0; part < 4; ++part) {
                const Index column = across[x].first + part % 2;
                if (!same(way, ways[part / 2][column + 1], task.apart))
                    continue;
                const float share = (part / 2 ? down.share : 1 - down.share) * (part % 2 ? across[x].share : 1 - across[x].share);
                const float *values = rows[part / 2] + (column < 0 ? coarse.width - 1 : column == coarse.width ? 0 : column);
                for (int c = 0; c < 3; ++c)
                    total[c] += share * values[c * coarse.height * coarse.width];
                weight += share;
            }
            for (int c = 0; c < 3; ++c)
                task.out[(c * fine.height + y) * fine.width + x] =
                    weight > 0 ? total[c] / weight : parents[x / task.factor + c * coarse.height * coarse.width];
        }
    }
}

Result<float> enlarged(int threads, Array<float, 4> change, Array<Pointer, 2> coarse, Index coarse_rows,
                       Index coarse_row, Index coarse_margin, Array<Pointer, 2> fine, Index rows, Index row,
                       Index margin, Index factor, Index top, bool wraps_y, bool wraps_x, Index slack) {
    Result<float> result = empty<float>({1, 3, fine.shape(0), fine.shape(1)});
    const Field from = {coarse.data(), Index(coarse.shape(0)), Index(coarse.shape(1)), std::uint32_t(coarse_rows),
                        std::uint32_t(coarse_row), std::int32_t(coarse_margin)};
    const Field to = {fine.data(), Index(fine.shape(0)), Index(fine.shape(1)), std::uint32_t(rows), std::uint32_t(row),
                      std::int32_t(margin)};
    const Enlarge task = {change.data(), from, to, factor, top, wraps_y, wraps_x, std::int32_t(factor + slack), result.data()};
    {
        nb::gil_scoped_release released;
        in_parts(to.height, threads, 16, [&](Index first, Index last) { enlarge(task, first, last); });
    }
    return result;
}

} // namespace

void bind_enlarge(nb::module_ &module) {
    module.def("enlarged", enlarged);
}
