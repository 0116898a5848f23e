"""Texture networks: more of one texture in a single pass."""
