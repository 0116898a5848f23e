// Windows on their principal directions, in a table (Lefebvre & Hoppe 2005, section 3.4): texsynth/features/windows.py
#include "core.hpp"

FOR_EACH_PROCESSOR void standardise(const Descriptors &task, Index first, Index last) {
    constexpr Index together = 64; // windows: what is read and written stays in the cache
    for (Index start = first; start < last; start += together)
        for (Index d = 0; d < task.count; ++d)
            for (Index n = start; n < std::min(start + together, last); ++n)
                task.table[n * task.count + d] = (task.components[d * task.windows + n] - task.mean[d]) * task.scale;
}
