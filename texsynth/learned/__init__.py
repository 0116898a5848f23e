"""Networks that `texsynth train` trains, one a folder: its network, its recipe and the method that uses it."""
