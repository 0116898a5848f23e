"""The correspondence field: where each output pixel is copied from, and the solver that improves it."""
