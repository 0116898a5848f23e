// What the kernels share: the choice of the instruction set, threads, and the order in which sums are taken.
//
// A kernel gives the same bytes as its twin in tensor operations, for any number of threads and any instruction set:
// sums have the order of texsynth/native/sums.py, of equal values the first wins, and no product is contracted with a
// sum. Arrays are contiguous, and shapes are written as in the twins.
#pragma once

#include <algorithm>
#include <cstdint>
#include <thread>
#include <vector>

// Compiled once for every x86-64 processor and once for those with AVX2; the loader takes the better one that runs.
#ifdef TEXSYNTH_CLONES
#define FOR_EACH_PROCESSOR __attribute__((target_clones("avx2", "default")))
#else
#define FOR_EACH_PROCESSOR
#endif

// What such functions call has to become a part of them.
#ifdef _MSC_VER
#define INLINE static __forceinline
#else
#define INLINE static inline __attribute__((always_inline))
#endif

using Index = std::int64_t;

constexpr int LANES = 8;

// The sum of (a - b)^2 over d values, in the order of texsynth.native.sums.in_lanes.
INLINE float squared_distance(const float *a, const float *b, Index d) {
    float sums[LANES] = {};
    Index k = 0;
    for (; k + LANES <= d; k += LANES)
        for (int lane = 0; lane < LANES; ++lane) {
            const float difference = a[k + lane] - b[k + lane];
            sums[lane] += difference * difference;
        }
    for (int lane = 0; k + lane < d; ++lane) {
        const float difference = a[k + lane] - b[k + lane];
        sums[lane] += difference * difference;
    }
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int lane = 0; lane < half; ++lane)
            sums[lane] += sums[lane + half];
    return sums[0];
}

// The squared difference of two colours, in the order of texsynth.native.sums.in_turn.
INLINE float squared_difference(const float *a, const float *b) {
    const float x = a[0] - b[0], y = a[1] - b[1], z = a[2] - b[2];
    return x * x + y * y + z * z;
}

// Calls work(first, last) for contiguous parts of 0 ... count, each in a thread of its own, up to `threads` of them and
// none for fewer than `least`. Threads end with the call, so that none waits, spins, or is missing after a fork.
template <class Work> void in_parts(Index count, int threads, Index least, const Work &work) {
    const Index parts = std::max<Index>(1, std::min<Index>(threads, count / std::max<Index>(1, least)));
    std::vector<std::thread> others;
    for (Index part = 1; part < parts; ++part)
        others.emplace_back([&work, part, parts, count] { work(part * count / parts, (part + 1) * count / parts); });
    work(0, count / parts);
    for (std::thread &other : others)
        other.join();
}

struct Paths { // quilting.path
    const float *error; // (B, rows, columns)
    Index rows, columns;
    float slope;
    Index *at;   // (B, rows)
    float *cost; // (B,)
};
void find_paths(const Paths &task, Index first, Index last);

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
void find_best(const Sweep &task, Index first, Index last);

struct Seams { // sweep.near_seams
    const Index *wide; // (height + 2 radius + 2, width + 2 radius + 2)
    const bool *valid; // (N,)
    Index height, width, radius, row;
    bool *near; // (height, width)
};
void mark_near_seams(const Seams &task, int threads);

struct Shifts { // align.costs_of_shifts
    const Index *index, *labels; // (height, width)
    const float *colours;        // (N, 3)
    Index height, width, row, sources;
    bool wraps_y, wraps_x;
    float *cost; // (pieces, 9)
};
void sum_costs_of_shifts(const Shifts &task, Index first, Index last);

struct Around { // space.finer_look_alikes
    const float *table; // (N, components)
    Index components, row;
    const Index *asking, *centre; // (n,)
    const bool *described;        // (N,)
    Index *pick;                  // (n,)
};
void find_around(const Around &task, Index first, Index last);

struct Apart { // space.look_alikes
    const float *distance; // (n, m)
    Index keys, count;
    const float *at, *at_keys; // (n, 2), (m, 2)
    float apart;
    Index *picks; // (n, count)
};
void find_apart(const Apart &task, Index first, Index last);

struct Relaxation { // image.tone._swept
    const float *down, *right, *hold, *step; // (h, w)
    const float *goal, *x;                   // (C, h, w)
    Index height, width;
    float *better; // (C, h, w)
};
void relax(const Relaxation &task, Index first, Index last);

struct Descriptors { // features.windows.Basis.describe
    const float *components, *mean; // (D, n), (D,)
    Index count, windows;
    float scale;
    float *table; // (n, D)
};
void standardise(const Descriptors &task, Index first, Index last);

struct Sites { // quilt.sums_of_sites
    const float *values, *weight; // (K, B), the rows of the twin turned; (m,)
    const Index *sites;           // (n, m)
    Index rows, pieces, count;
    float *sums; // (B, n)
};
void sum_sites(const Sites &task, Index first, Index last);
