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

struct Least { // of each of the columns that are compared together
    float total[TOGETHER];
    std::int32_t at[TOGETHER];
};

INLINE void compare(Least &least, const float *price, const float *change, std::int32_t first) {
    for (int lane = 0; lane < TOGETHER; ++lane) {
        const float total = price[lane] - std::fabs(change[lane]);
        least.at[lane] = total < least.total[lane] ? first + lane : least.at[lane];
        least.total[lane] = total < least.total[lane] ? total : least.total[lane];
    }
}

FOR_EACH_PROCESSOR void choose(const Choice &task, Index first, Index last) {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    const Index whole = task.k / TOGETHER * TOGETHER, rest = task.k - whole;
    for (Index n = first; n < last; ++n) {
        const float *price = task.price + n * task.k, *change = task.change + n * task.k;
        Least least;
        std::fill_n(least.total, TOGETHER, infinity), std::fill_n(least.at, TOGETHER, 0);
        for (Index k = 0; k < whole; k += TOGETHER)
            compare(least, price + k, change + k, k);
        if (rest > 0) {
            float end[TOGETHER], changes[TOGETHER] = {};
            std::fill(std::copy_n(price + whole, rest, end), end + TOGETHER, infinity);
            std::copy_n(change + whole, rest, changes);
            compare(least, end, changes, whole);
        }
        for (int half = TOGETHER / 2; half > 0; half /= 2) // of equal ones the first
            for (int lane = 0; lane < half; ++lane) {
                const float total = least.total[lane + half];
                const std::int32_t at = least.at[lane + half];
                const bool better = (total < least.total[lane]) | ((total == least.total[lane]) & (at < least.at[lane]));
                least.total[lane] = better ? total : least.total[lane];
                least.at[lane] = better ? at : least.at[lane];
            }
        task.pick[n] = least.at[0];
        task.back[n] = change[least.at[0]] < 0;
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
