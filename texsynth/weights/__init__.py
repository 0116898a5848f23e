"""Weights of networks: the pretrained ones that can be fetched, and the trained ones that `texsynth train` writes."""
