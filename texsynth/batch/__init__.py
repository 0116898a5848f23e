"""Batches: which items of one a process takes, processes that work side by side, and the log of what is finished."""
