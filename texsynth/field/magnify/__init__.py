"""Synthesis magnification (Lefebvre and Hoppe 2005): a field of working size carried up to pictures of any size."""
