// What source pieces cost by the use of their parts, summed over sites in each (Efros & Freeman 2001 has no such price;
// use as in Kaspar et al. 2015): texsynth/field/quilt.py
#include "core.hpp"

// Of the pieces from `first` on, below `last`, for all rows at once, in the order of texsynth.native.sums.in_lanes.
FOR_EACH_PROCESSOR void sum_sites(const Sites &task, Index first, Index last) {
    const Index rows = task.rows;
    std::vector<float> lanes(LANES * rows);
    for (Index piece = first; piece < last; ++piece) {
        std::fill(lanes.begin(), lanes.end(), 0.0f);
        for (Index site = 0; site < task.count; ++site) {
            const float *values = task.values + task.sites[piece * task.count + site] * rows;
            const float weight = task.weight[site];
            float *sums = lanes.data() + site % LANES * rows;
            for (Index row = 0; row < rows; ++row)
                sums[row] += values[row] * weight;
        }
        for (int half = LANES / 2; half > 0; half /= 2)
            for (Index at = 0; at < half * rows; ++at)
                lanes[at] += lanes[at + half * rows];
        for (Index row = 0; row < rows; ++row)
            task.sums[row * task.pieces + piece] = lanes[row];
    }
}
