// Pieces that slide by a pixel to where their seams cost less (seams: Kwatra et al. 2003, eq. 1): texsynth/field/align.py
#include "binding.hpp"

#include <atomic>
#include <optional>

#include <nanobind/stl/optional.h>

namespace {

using Number = std::int32_t; // of a piece

struct Seam { // neighbours that do not continue each other, or need not
    Index a, b; // the sources
    Number of_a, of_b;
};

struct Slide { // align.align
    const Index *index;   // (height, width)
    const bool *valid;    // (N,)
    const bool *fixed;    // (height, width), or none
    const float *colours; // (N, C)
    Index channels;
    Index height, width, row, sources;
    bool wraps_y, wraps_x;
};

// A piece is what shared one displacement at first. Those that share one later are counted as one.
struct Pieces {
    std::vector<Number> of;           // (height * width,)
    std::vector<Index> displacement;  // of each piece
    std::vector<Number> number;       // of each piece, by its displacement
    Index count;                      // of numbers
    std::vector<Seam> below, right;   // in reading order
};

// Numbers some values by their order, equal ones alike, and gives how many numbers there are.
Index number(const std::vector<Index> &values, std::vector<Number> &numbers) {
    const auto [least, most] = std::minmax_element(values.begin(), values.end());
    std::vector<Number> among(*most - *least + 1, 0);
    for (Index value : values)
        among[value - *least] = 1;
    Number count = 0;
    for (Number &each : among)
        each = each ? count++ : 0;
    numbers.resize(values.size());
    for (size_t n = 0; n < values.size(); ++n)
        numbers[n] = among[values[n] - *least];
    return count;
}

std::vector<Seam> seams(const Slide &task, const std::vector<Number> &of, bool down) {
    const Index stride = down ? task.row : 1;
    const Index height = task.height - (down && !task.wraps_y), width = task.width - (!down && !task.wraps_x);
    std::vector<Seam> all;
    for (Index y = 0; y < height; ++y)
        for (Index x = 0; x < width; ++x) {
            const Index at = y * task.width + x;
            const Index next = down ? (y + 1) % task.height * task.width + x : y * task.width + (x + 1) % task.width;
            // Where the canvas wraps, pieces with different displacements may continue each other, for now.
            if (of[at] != of[next] || task.index[next] != task.index[at] + stride)
                all.push_back({task.index[at], task.index[next], of[at], of[next]});
        }
    return all;
}

Pieces pieces(const Slide &task) {
    Pieces all;
    {
        std::vector<Index> displacement(task.height * task.width);
        for (Index y = 0, at = 0; y < task.height; ++y)
            for (Index x = 0; x < task.width; ++x, ++at)
                displacement[at] = task.index[at] - y * task.row - x;
        all.count = number(displacement, all.of);
        all.displacement.resize(all.count);
        for (size_t at = 0; at < displacement.size(); ++at)
            all.displacement[all.of[at]] = displacement[at];
    }
    all.below = seams(task, all.of, true);
    all.right = seams(task, all.of, false);
    number(all.displacement, all.number);
    return all;
}

INLINE const float *colour(const Slide &task, Index source) {
    return task.colours + task.channels * std::min(std::max<Index>(source, 0), task.sources - 1);
}

INLINE float meet(const Slide &task, Index a, Index b, Index stride) {
    return (squared_difference(colour(task, a), colour(task, b - stride), task.channels) +
            squared_difference(colour(task, a + stride), colour(task, b), task.channels)) /
           2;
}

// The costs (9, count) of the shifts from `first` on, below `last`, of the pieces whose turn it is. The sums of a piece
// are taken in reading order: over seams below its pixels and above them, then over those to the right and to the left.
FOR_EACH_PROCESSOR void sum_costs(const Slide &task, const Pieces &all, const float *turn, float least, float *cost,
                                  Index first, Index last) {
    for (Index s = first; s < last; ++s) {
        const Index shift = (s / 3 - 1) * task.row + s % 3 - 1;
        float *sums = cost + s * all.count;
        for (const std::vector<Seam> *some : {&all.below, &all.right}) {
            const Index stride = some == &all.below ? task.row : 1;
            for (const Seam &seam : *some) {
                const Number of = all.number[seam.of_a];
                if (turn[of] >= least && seam.b != seam.a + stride)
                    sums[of] += meet(task, seam.a + shift, seam.b, stride);
            }
            for (const Seam &seam : *some) {
                const Number of = all.number[seam.of_b];
                if (turn[of] >= least && seam.b != seam.a + stride)
                    sums[of] += meet(task, seam.a, seam.b + shift, stride);
            }
        }
    }
}

// By how much each piece of a number is to move; nothing where it is not its turn.
std::vector<Index> best_shifts(const Slide &task, const Pieces &all, const float *turn, float least, float stay, int threads) {
    std::vector<float> cost(9 * all.count, 0.0f);
    in_parts(9, threads, 1, [&](Index first, Index last) { sum_costs(task, all, turn, least, cost.data(), first, last); });
    std::vector<Index> moves(all.count, 0);
    for (Index piece = 0; piece < all.count; ++piece) {
        if (turn[piece] < least)
            continue;
        float *middle = cost.data() + 4 * all.count + piece;
        *middle = *middle * stay - 1e-6f;
        Index best = 0;
        for (Index s = 1; s < 9; ++s)
            if (cost[s * all.count + piece] < cost[best * all.count + piece])
                best = s;
        moves[piece] = (best / 3 - 1) * task.row + best % 3 - 1;
    }
    return moves;
}

// Takes back the moves of pieces that would leave what may be copied.
void hold_back(const Slide &task, const Pieces &all, std::vector<Index> &moves, int threads) {
    std::vector<std::atomic<bool>> blocked(all.count);
    in_parts(task.height, threads, 64, [&](Index first, Index last) {
        for (Index y = first, at = first * task.width; y < last; ++y)
            for (Index x = 0; x < task.width; ++x, ++at) {
                const Number piece = all.of[at];
                const Index move = moves[all.number[piece]];
                if (move == 0)
                    continue;
                const Index source = all.displacement[piece] + y * task.row + x + move;
                if (source < 0 || source >= task.sources || !task.valid[source] || (task.fixed && task.fixed[at]))
                    blocked[all.number[piece]].store(true, std::memory_order_relaxed);
            }
    });
    for (Index piece = 0; piece < all.count; ++piece)
        if (blocked[piece])
            moves[piece] = 0;
}

void move(Pieces &all, const std::vector<Index> &moves) {
    for (std::vector<Seam> *some : {&all.below, &all.right})
        for (Seam &seam : *some) {
            seam.a += moves[all.number[seam.of_a]];
            seam.b += moves[all.number[seam.of_b]];
        }
    for (size_t piece = 0; piece < all.number.size(); ++piece)
        all.displacement[piece] += moves[all.number[piece]];
    all.count = number(all.displacement, all.number);
}

// draw(n) gives n random numbers in [0, 1): a piece has its turn where its own is at least `least`.
Result<Index> aligned(int threads, Array<Index, 2> index, Array<bool, 1> valid, std::optional<Array<bool, 2>> fixed,
                      Array<float, 2> colours, Index row, bool wraps_y, bool wraps_x, Index rounds, nb::callable draw,
                      float least, float stay) {
    Slide task = {index.data(), valid.data(), fixed ? fixed->data() : nullptr, colours.data(),
                  Index(colours.shape(1)), Index(index.shape(0)), Index(index.shape(1)), row, Index(valid.shape(0)), wraps_y, wraps_x};
    Pieces all;
    {
        nb::gil_scoped_release released;
        all = pieces(task);
    }
    for (Index round = 0; round < rounds; ++round) {
        const Array<float, 1> turn = nb::cast<Array<float, 1>>(draw(all.count));
        nb::gil_scoped_release released;
        std::vector<Index> moves = best_shifts(task, all, turn.data(), least, stay, threads);
        hold_back(task, all, moves, threads);
        move(all, moves);
    }
    Result<Index> result = empty<Index>({index.shape(0), index.shape(1)});
    for (Index y = 0, at = 0; y < task.height; ++y)
        for (Index x = 0; x < task.width; ++x, ++at)
            result.data()[at] = all.displacement[all.of[at]] + y * row + x;
    return result;
}

} // namespace

void bind_shifts(nb::module_ &module) {
    module.def("aligned", aligned);
}
