// Pixels near seams, which a pass improves (Lefebvre & Hoppe 2005): texsynth/field/sweep.py
#include "binding.hpp"

namespace {

struct Seams { // sweep.near_seams
    const Index *wide; // (height + 2 radius + 2, width + 2 radius + 2)
    const bool *valid; // (N,)
    Index height, width, radius, row;
    bool *near; // (height, width)
};

// Whether a pixel of the extended field is no source, or does not continue one of its four neighbours.
bool is_seam(const Seams &task, const Index *here) {
    const Index stride = task.width + 2 * task.radius + 2;
    return !task.valid[*here] || here[-stride] + task.row != *here || here[stride] != *here + task.row ||
           here[-1] + 1 != *here || here[1] != *here + 1;
}

void mark_near_seams(const Seams &task, int threads) {
    const Index reach = 2 * task.radius + 1, rows = task.height + 2 * task.radius, width = task.width;
    std::vector<char> across(rows * width); // is a seam in the row, within the radius?
    in_parts(rows, threads, 64, [&](Index first, Index last) {
        for (Index y = first; y < last; ++y) {
            const Index *row = task.wide + (y + 1) * (width + 2 * task.radius + 2) + 1;
            Index seam = -reach; // the last column of one so far
            for (Index x = 0; x < width + 2 * task.radius; ++x) {
                if (is_seam(task, row + x))
                    seam = x;
                if (x + 1 >= reach)
                    across[y * width + x + 1 - reach] = x - seam < reach;
            }
        }
    });
    in_parts(width, threads, 64, [&](Index first, Index last) {
        std::vector<Index> seam(last - first, -reach); // the last row of one so far
        for (Index y = 0; y < rows; ++y)
            for (Index x = first; x < last; ++x) {
                if (across[y * width + x])
                    seam[x - first] = y;
                if (y + 1 >= reach)
                    task.near[(y + 1 - reach) * width + x] = y - seam[x - first] < reach;
            }
    });
}

Result<bool> near_seams(int threads, Array<Index, 2> wide, Array<bool, 1> valid, Index radius, Index row) {
    const Index height = wide.shape(0) - 2 * radius - 2, width = wide.shape(1) - 2 * radius - 2;
    Result<bool> near = empty<bool>({size_t(height), size_t(width)});
    const Seams task = {wide.data(), valid.data(), height, width, radius, row, near.data()};
    {
        nb::gil_scoped_release released;
        mark_near_seams(task, threads);
    }
    return near;
}

} // namespace

void bind_seams(nb::module_ &module) {
    module.def("near_seams", near_seams);
}
