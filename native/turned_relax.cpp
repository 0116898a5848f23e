// Turned copies relax towards what their neighbours continue to: texsynth/field/turned/sweep.py
#include "binding.hpp"
#include "turns.hpp"

namespace {

constexpr float SAME_PIECE = 1.0f; // as in turned/sweep.py

struct Relaxing { // turned.sweep._relaxed
    Planes planes;
    Copies copies;      // (h, w)
    const Index *index; // (h, w)
    Index height, width;
    bool wraps_down, wraps_across;
    const float *price; // (N,)
    Index *better;      // (h, w)
    float *moved;       // (h, w, 2)
};

// The copy at a pixel that may lie one beyond the border: wrapped, or continuing that of the pixel at the border.
INLINE Copy copy_beyond(const Relaxing &task, Index y, Index x) {
    Index inside_y = std::min(std::max<Index>(y, 0), task.height - 1), inside_x = std::min(std::max<Index>(x, 0), task.width - 1);
    const Place past = {task.wraps_down ? 0 : float(y - inside_y), task.wraps_across ? 0 : float(x - inside_x)};
    if (task.wraps_down)
        inside_y = (y + task.height) % task.height;
    if (task.wraps_across)
        inside_x = (x + task.width) % task.width;
    return task.copies.at(inside_y * task.width + inside_x).moved(past);
}

INLINE void relax(const Relaxing &task, Index y, Index x) {
    const Index n = y * task.width + x;
    const Copy copy = task.copies.at(n);
    const bool inner = y > 0 && x > 0 && y < task.height - 1 && x < task.width - 1;
    Place total = copy.place;
    float count = 1;
    for (int dy = -1; dy <= 1; ++dy)
        for (int dx = -1; dx <= 1; ++dx) {
            if (dy == 0 && dx == 0)
                continue;
            const Copy beside = inner ? task.copies.at(n + dy * task.width + dx) : copy_beyond(task, y + dy, x + dx);
            const Copy near = beside.moved({float(-dy), float(-dx)});
            const float apart = std::max(std::fabs(near.place.y - copy.place.y), std::fabs(near.place.x - copy.place.x));
            if (!(apart <= SAME_PIECE) || near.plane != copy.plane || face_away(near.turn, copy.turn))
                continue;
            total.y += near.place.y, total.x += near.place.x;
            count += 1;
        }
    const Place mean = {total.y / count, total.x / count};
    const Nearest nearest = locate(task.planes, {copy.plane, mean, copy.turn});
    const bool fits = nearest.inside && std::isfinite(task.price[nearest.index]);
    task.better[n] = fits ? nearest.index : task.index[n];
    task.moved[2 * n] = fits ? mean.y : copy.place.y;
    task.moved[2 * n + 1] = fits ? mean.x : copy.place.x;
}

FOR_EACH_PROCESSOR void relax_rows(const Relaxing &task, Index first, Index last) {
    for (Index y = first; y < last; ++y)
        for (Index x = 0; x < task.width; ++x)
            relax(task, y, x);
}

nb::tuple relaxed_copies(int threads, Array<Index, 2> plane, Array<float, 3> place, Array<float, 3> turn,
                         Array<Index, 2> index, bool wraps_down, bool wraps_across, Array<Index, 2> shapes, Index rows,
                         Index row, Index margin, Array<float, 1> price) {
    const size_t height = plane.shape(0), width = plane.shape(1);
    Result<Index> better = empty<Index>({height, width});
    Result<float> moved = empty<float>({height, width, 2});
    const Relaxing task = {{shapes.data(), rows, row, margin},
                           {plane.data(), place.data(), turn.data()},
                           index.data(),
                           Index(height),
                           Index(width),
                           wraps_down,
                           wraps_across,
                           price.data(),
                           better.data(),
                           moved.data()};
    {
        nb::gil_scoped_release released;
        in_parts(height, threads, 1 + 4096 / width, [&](Index first, Index last) { relax_rows(task, first, last); });
    }
    return nb::make_tuple(better, moved);
}

} // namespace

void bind_turned_relax(nb::module_ &module) {
    module.def("relaxed_copies", relaxed_copies);
}
