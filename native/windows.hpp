// Windows on their principal directions in whole numbers, whose sums are exact (Lefebvre & Hoppe 2005, section 3.4):
// texsynth/features/windows.py
#pragma once

#include "core.hpp"

constexpr Index TOGETHER = 4;   // directions
constexpr Index WHOLE_NUMBERS = 16; // in a vector register

// The directions, padded with nothing to whole vectors.
struct Directions {
    Index channels, patch, count, length;
    std::vector<std::int16_t> weights; // (rows(), length)
    const float *centre;               // (count,)
    float unit;

    // How many rows of weights there are.
    Index rows() const { return (count + TOGETHER - 1) / TOGETHER * TOGETHER; }

    Directions(const std::int16_t *given, const float *centre, float unit, Index count, Index patch, Index channels)
        : channels(channels), patch(patch), count(count), centre(centre), unit(unit) {
        const Index taps = channels * patch * patch;
        length = (taps + WHOLE_NUMBERS - 1) / WHOLE_NUMBERS * WHOLE_NUMBERS;
        weights.assign(rows() * length, 0);
        for (Index d = 0; d < count; ++d)
            std::copy_n(given + d * taps, taps, weights.data() + d * length);
    }
};

// The descriptor (count,) of a window (length,); sums: room for as many whole numbers as there are rows of weights.
INLINE void project(const Directions &directions, const std::int16_t *window, std::int32_t *sums, float *descriptor) {
    const Index length = directions.length, count = directions.count;
    for (Index d = 0; d < count; d += TOGETHER) {
        const std::int16_t *first = directions.weights.data() + d * length, *second = first + length;
        const std::int16_t *third = second + length, *fourth = third + length;
        std::int32_t a = 0, b = 0, c = 0, e = 0;
        for (Index tap = 0; tap < length; ++tap) {
            const std::int32_t value = window[tap];
            a += value * first[tap], b += value * second[tap], c += value * third[tap], e += value * fourth[tap];
        }
        sums[d] = a, sums[d + 1] = b, sums[d + 2] = c, sums[d + 3] = e;
    }
    for (Index d = 0; d < count; ++d)
        descriptor[d] = (float(sums[d]) - directions.centre[d]) * directions.unit;
}
