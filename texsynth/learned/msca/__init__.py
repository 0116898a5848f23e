"""MSCA: attention over regions of the exemplars."""
