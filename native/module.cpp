// The module texsynth.native._core: tensors in, tensors out. A file here is a loop, or a few that belong together, with
// its arguments, its work, and the function that Python calls, which does what the twin of the same name does.
#include "binding.hpp"

void bind_carry(nb::module_ &);
void bind_cheapest(nb::module_ &);
void bind_costs(nb::module_ &);
void bind_cubic(nb::module_ &);
void bind_cuts(nb::module_ &);
void bind_descriptors(nb::module_ &);
void bind_enlarge(nb::module_ &);
void bind_look_alikes(nb::module_ &);
void bind_mend(nb::module_ &);
void bind_paths(nb::module_ &);
void bind_relax(nb::module_ &);
void bind_rings(nb::module_ &);
void bind_seams(nb::module_ &);
void bind_shifts(nb::module_ &);
void bind_shortlist(nb::module_ &);
void bind_sites(nb::module_ &);
void bind_slide(nb::module_ &);
void bind_sweep(nb::module_ &);
void bind_turned_copies(nb::module_ &);
void bind_turned_relax(nb::module_ &);
void bind_turned_windows(nb::module_ &);
void bind_walks(nb::module_ &);

// The instruction set that the loader has chosen.
static const char *instructions() {
#ifdef TEXSYNTH_CLONES
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") ? "AVX2" : "plain";
#else
    return "plain";
#endif
}

NB_MODULE(_core, module) {
    module.attr("VERSION") = 14; // as in texsynth/native/__init__.py: raised with every change of an argument
    module.def("instructions", instructions);
    bind_carry(module);
    bind_cheapest(module);
    bind_costs(module);
    bind_cubic(module);
    bind_cuts(module);
    bind_descriptors(module);
    bind_enlarge(module);
    bind_look_alikes(module);
    bind_mend(module);
    bind_paths(module);
    bind_relax(module);
    bind_rings(module);
    bind_seams(module);
    bind_shifts(module);
    bind_shortlist(module);
    bind_sites(module);
    bind_slide(module);
    bind_sweep(module);
    bind_turned_copies(module);
    bind_turned_relax(module);
    bind_turned_windows(module);
    bind_walks(module);
}
