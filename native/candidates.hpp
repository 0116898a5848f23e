// Source pieces that are tried at places of a canvas: texsynth.field.quilting.Candidates
#pragma once

#include "binding.hpp"

struct Candidates {
    const float *colours;   // (N, 3)
    const Index *corners;   // (B, T)
    const Index *inner;     // (s^2,)
    const Index *old;       // (B, s^2)
    const float *price;     // (B, T)
    Index places, tries, side;
};

inline Candidates candidates(Array<float, 2> colours, Array<Index, 2> corners, Array<Index, 1> inner,
                             Array<Index, 2> old, Array<float, 2> price, Index side) {
    return {colours.data(), corners.data(),         inner.data(),           old.data(),
            price.data(),   Index(corners.shape(0)), Index(corners.shape(1)), side};
}

// The squared difference of candidate and canvas at a pixel of the piece.
INLINE float gap(const Candidates &task, Index place, Index corner, Index pixel) {
    const Index area = task.side * task.side;
    return squared_difference(task.colours + 3 * (corner + task.inner[pixel]),
                              task.colours + 3 * task.old[place * area + pixel]);
}

// The candidate at a place that is cheapest, by its cut and its price: the first of equals. cost: (B, T), of cuts, per
// pixel of the piece's side.
INLINE Index cheapest(const Candidates &task, const float *cost, Index place) {
    Index best = 0;
    const float *of_cut = cost + place * task.tries, *beside = task.price + place * task.tries;
    for (Index number = 1; number < task.tries; ++number)
        if (of_cut[number] + beside[number] < of_cut[best] + beside[best])
            best = number;
    return best;
}
