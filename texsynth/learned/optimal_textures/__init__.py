"""Optimal textures: transport in the space of features, and decoders back to pixels."""
