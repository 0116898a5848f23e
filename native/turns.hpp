// Turns as unit vectors, and places in the planes of an atlas: texsynth/field/geometry.py, texsynth/field/atlas.py
#pragma once

#include "core.hpp"

#include <cmath>

struct Turn { // the cosine and the sine
    float x, y;
};

struct Place {
    float y, x;
};

INLINE Turn turn_at(const float *turns, Index at) { return {turns[2 * at], turns[2 * at + 1]}; }
INLINE Place place_at(const float *places, Index at) { return {places[2 * at], places[2 * at + 1]}; }
INLINE bool face_away(Turn one, Turn other) { return one.x * other.x + one.y * other.y < 0; }
INLINE Turn turn_between(Turn one, Turn other) {
    return {one.x * other.x + one.y * other.y, one.x * other.y - one.y * other.x};
}
INLINE Place turned(Turn turn, Place offset) {
    return {turn.y * offset.x + turn.x * offset.y, turn.x * offset.x - turn.y * offset.y};
}
INLINE Place turned_back(Turn turn, Place offset) {
    return {turn.x * offset.y - turn.y * offset.x, turn.x * offset.x + turn.y * offset.y};
}

struct Planes { // atlas.Atlas
    const Index *shapes; // (P, 2)
    Index rows, row, margin;

    // The flat index of a pixel, clipped into its plane.
    INLINE_MEMBER Index join(Index plane, Index y, Index x) const {
        y = std::min(std::max<Index>(y, 0), shapes[2 * plane] - 1);
        x = std::min(std::max<Index>(x, 0), shapes[2 * plane + 1] - 1);
        return (plane * rows + y + margin) * row + x + margin;
    }

    INLINE_MEMBER bool holds(Index plane, Index y, Index x) const {
        return y >= 0 && x >= 0 && y < shapes[2 * plane] && x < shapes[2 * plane + 1];
    }
};

struct Copy { // sweep.TurnedCopy, of one pixel
    Index plane;
    Place place;
    Turn turn;

    // What it continues to at the pixel that lies `offset` away.
    INLINE_MEMBER Copy moved(Place offset) const {
        const Place step = turned_back(turn, offset);
        return {plane, {place.y + step.y, place.x + step.x}, turn};
    }
};

struct Copies { // sweep.TurnedCopy: (n,), (n, 2), (n, 2)
    const Index *plane;
    const float *place, *turn;

    INLINE_MEMBER Copy at(Index n) const { return {plane[n], place_at(place, n), turn_at(turn, n)}; }
};

struct Nearest {
    Index index;
    bool inside;
};

// The pixel nearest to a copy, of two the even one, and whether it lies in the plane: sweep.locate.
INLINE Nearest locate(const Planes &planes, const Copy &copy) {
    const Index y = std::nearbyint(copy.place.y), x = std::nearbyint(copy.place.x);
    return {planes.join(copy.plane, y, x), planes.holds(copy.plane, y, x)};
}
