// Source pieces that are tried at places of a canvas: texsynth.field.quilting.Candidates
#pragma once

#include "binding.hpp"

struct Candidates {
    const float *planes;  // (C, N)
    const Index *corners; // (B, T)
    const Index *inner;   // (s^2,), of rows of neighbours
    const Index *old;     // (B, s^2)
    const float *price;   // (B, T)
    Index sources, channels, places, tries, side;

    Index groups() const { return (tries + LANES - 1) / LANES; } // of candidates that are looked at together
};

inline Candidates candidates(Array<float, 2> planes, Array<Index, 2> corners, Array<Index, 1> inner,
                             Array<Index, 2> old, Array<float, 2> price, Index side) {
    Candidates task = {};
    task.planes = planes.data(), task.channels = planes.shape(0), task.sources = planes.shape(1);
    task.corners = corners.data(), task.places = corners.shape(0), task.tries = corners.shape(1);
    task.inner = inner.data(), task.old = old.data(), task.price = price.data(), task.side = side;
    return task;
}

// The squared differences of canvas and candidates from the number `first` on, as many as there are lanes, with the last
// one repeated if need be: gaps[(y * stride + x) * lanes + lane]. canvas: room for C s^2 values, row: for s.
template <int lanes>
INLINE void find_gaps(const Candidates &task, Index place, Index first, float *canvas, float *row, Index stride,
                      float *gaps) {
    const Index side = task.side, area = side * side;
    for (Index pixel = 0; pixel < area; ++pixel)
        for (Index channel = 0; channel < task.channels; ++channel)
            canvas[channel * area + pixel] = task.planes[channel * task.sources + task.old[place * area + pixel]];
    for (int lane = 0; lane < lanes; ++lane) {
        const Index corner = task.corners[place * task.tries + std::min(first + lane, task.tries - 1)];
        for (Index y = 0; y < side; ++y) {
            const float *a = task.planes + corner + task.inner[y * side], *b = a + task.sources, *c = b + task.sources;
            const float *old_a = canvas + y * side, *old_b = old_a + area, *old_c = old_b + area;
            for (Index x = 0; x < side; ++x) {
                const float p = a[x] - old_a[x], q = b[x] - old_b[x], r = c[x] - old_c[x];
                row[x] = p * p + q * q + r * r;
            }
            for (Index channel = 3; channel < task.channels; ++channel) {
                const float *more = a + channel * task.sources, *old = old_a + channel * area;
                for (Index x = 0; x < side; ++x)
                    row[x] += (more[x] - old[x]) * (more[x] - old[x]);
            }
            for (Index x = 0; x < side; ++x)
                gaps[(y * stride + x) * lanes + lane] = row[x];
        }
    }
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
