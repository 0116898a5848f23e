"""Runs: the synthesis loop, a checked job to its result, and what is kept of it on disk."""
