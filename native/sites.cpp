// What source pieces cost by the use of their parts, summed over sites in each (Efros & Freeman 2001 has no such price;
// use as in Kaspar et al. 2015): texsynth/field/quilt.py
#include "binding.hpp"

namespace {

struct Sites { // quilt.sums_of_sites
    const float *values, *weight; // (K, B), the rows of the twin turned; (m,)
    const Index *sites;           // (n, m)
    Index rows, pieces, count;
    float *sums; // (B, n)
};

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

Result<float> sums_of_sites(int threads, Array<float, 2> values, Array<Index, 2> sites, Array<float, 1> weight) {
    const size_t rows = values.shape(0), pieces = sites.shape(0), cells = values.shape(1);
    Result<float> sums = empty<float>({rows, pieces});
    {
        nb::gil_scoped_release released;
        std::vector<float> turned(rows * cells);
        for (size_t row = 0; row < rows; ++row)
            for (size_t cell = 0; cell < cells; ++cell)
                turned[cell * rows + row] = values.data()[row * cells + cell];
        const Sites task = {turned.data(), weight.data(), sites.data(), Index(rows), Index(pieces), Index(sites.shape(1)),
                            sums.data()};
        in_parts(pieces, threads, 512, [&](Index first, Index last) { sum_sites(task, first, last); });
    }
    return sums;
}

} // namespace

void bind_sites(nb::module_ &module) {
    module.def("sums_of_sites", sums_of_sites);
}
