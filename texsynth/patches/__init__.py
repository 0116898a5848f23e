"""Patches: cut out of feature maps, compared in chunks of bounded memory, and sampled."""
