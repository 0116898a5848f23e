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
#define INLINE_MEMBER __forceinline
#else
#define INLINE static inline __attribute__((always_inline))
#define INLINE_MEMBER inline __attribute__((always_inline))
#endif

// Has the memory fetched while other work goes on.
#if defined(__GNUC__)
#define PREFETCH(address) __builtin_prefetch(address)
#else
#define PREFETCH(address) ((void)(address))
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

// The sum of a * b over d values, in the same order.
INLINE float product(const float *a, const float *b, Index d) {
    float sums[LANES] = {};
    Index k = 0;
    for (; k + LANES <= d; k += LANES)
        for (int lane = 0; lane < LANES; ++lane)
            sums[lane] += a[k + lane] * b[k + lane];
    for (int lane = 0; k + lane < d; ++lane)
        sums[lane] += a[k + lane] * b[k + lane];
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int lane = 0; lane < half; ++lane)
            sums[lane] += sums[lane + half];
    return sums[0];
}

// The first of the least of n > 0 values, none of which is NaN.
INLINE Index first_least(const float *values, Index n) {
    constexpr Index together = 64;
    Index start = 0;
    float least = values[0];
    for (Index first = 0; first < n; first += together) {
        const float *some = values + first;
        const Index count = std::min(together, n - first);
        float lanes[LANES];
        std::fill_n(lanes, LANES, some[0]);
        Index k = 0;
        for (; k + LANES <= count; k += LANES)
            for (int lane = 0; lane < LANES; ++lane)
                lanes[lane] = some[k + lane] < lanes[lane] ? some[k + lane] : lanes[lane];
        for (; k < count; ++k)
            lanes[0] = some[k] < lanes[0] ? some[k] : lanes[0];
        const float lowest = *std::min_element(lanes, lanes + LANES);
        if (lowest < least)
            least = lowest, start = first;
    }
    return std::find(values + start, values + n, least) - values;
}

// The squared difference of two colours, or of more channels, in the order of texsynth.native.sums.in_turn.
INLINE float squared_difference(const float *a, const float *b, Index channels) {
    const float x = a[0] - b[0], y = a[1] - b[1], z = a[2] - b[2];
    float sum = x * x + y * y + z * z;
    for (Index c = 3; c < channels; ++c)
        sum += (a[c] - b[c]) * (a[c] - b[c]);
    return sum;
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
