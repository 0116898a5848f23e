"""Patches: cut out of feature maps, drawn, and compared in chunks of bounded memory.

cut        patches of one map, their grid, and how much each of them counts
samples    the patches of all layers, and random draws from them
chunks     parts of a matrix of output patches against source patches, and gradients that come with the value
products   inner products of patches, with or without cutting them out
distances  distances of centred patches and their gradient, from these products
penalties  what is added to distances: guides and the local context
nearest    the least entries of rows, the nearest rows of tables, and regular grids of positions
shortlist  the least entries of rows while what is taken off their columns changes
matches    the most similar window of an exemplar for each window of an output
crops      the nearest crop of an exemplar for each crop of an output
"""
