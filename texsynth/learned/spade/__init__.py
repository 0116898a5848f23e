"""SPADE: textures by guidance maps in a single pass."""
