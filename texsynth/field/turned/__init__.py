"""Fields whose windows turn with a guide of orientation: start, sweep and pieces in the turned frame."""
