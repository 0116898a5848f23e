// The cheapest of random candidates that are turned either way: texsynth/field/turned/sweep.py
#include "binding.hpp"

#include <cmath>
#include <limits>

namespace {

constexpr Index TOGETHER = 16; // columns whose least is kept for each place, before the places are compared

struct Choice { // turned.sweep._cheapest
    const float *price, *change; // (n, k)
    Index k;
    Index *pick; // (n,)
    bool *back;  // (n,)
};

FOR_EACH_PROCESSOR void choose(const Choice &task, Index first, Index last) {
    for (Index n = first; n < last; ++n) {
        const float *price = task.price + n * task.k, *change = task.change + n * task.k;
        float least[TOGETHER];
        std::int32_t at[TOGETHER];
        for (Index lane = 0; lane < TOGETHER; ++lane)
            least[lane] = std::numeric_limits<float>::infinity(), at[lane] = -1;
        Index k = 0;
        for (; k + TOGETHER <= task.k; k += TOGETHER)
            for (Index lane = 0; lane < TOGETHER; ++lane) {
                const float total = price[k + lane] - 2 * std::fabs(change[k + lane]);
                at[lane] = total < least[lane] ? std::int32_t(k + lane) : at[lane];
                least[lane] = total < least[lane] ? total : least[lane];
            }
        for (Index lane = 0; k + lane < task.k; ++lane) {
            const float total = price[k + lane] - 2 * std::fabs(change[k + lane]);
            if (total < least[lane])
                least[lane] = total, at[lane] = k + lane;
        }
        // Of equal ones the first.
        Index pick = -1;
        float total = std::numeric_limits<float>::infinity();
        for (Index lane = 0; lane < TOGETHER; ++lane)
            if (at[lane] >= 0 && (least[lane] < total || (least[lane] == total && at[lane] < pick)))
                total = least[lane], pick = at[lane];
        task.pick[n] = std::max<Index>(pick, 0); // all are infinite
        task.back[n] = change[task.pick[n]] < 0;
    }
}

nb::tuple cheapest(int threads, Array<float, 2> price, Array<float, 2> change) {
    const size_t n = price.shape(0);
    Result<Index> pick = empty<Index>({n});
    Result<bool> back = empty<bool>({n});
    const Choice task = {price.data(), change.data(), Index(price.shape(1)), pick.data(), back.data()};
    {
        nb::gil_scoped_release released;
        in_parts(n, threads, 64, [&](Index first, Index last) { choose(task, first, last); });
    }
    return nb::make_tuple(pick, back);
}

} // namespace

void bind_cheapest(nb::module_ &module) {
    module.def("cheapest", cheapest);
}
