"""Dense correspondence between two pictures, from which `texsynth propagate` carries a layer over."""
