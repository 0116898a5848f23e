"""Tiles for engines: sets that may be laid at random, and blending without visible repeats at run time."""
