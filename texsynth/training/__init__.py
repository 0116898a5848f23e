"""Training: one loop for every recipe, with checkpoints."""
