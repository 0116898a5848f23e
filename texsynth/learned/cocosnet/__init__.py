"""CoCosNet: a learned dense correspondence, its warp, and a generator that makes it good."""
