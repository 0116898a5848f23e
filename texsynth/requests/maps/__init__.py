"""What the commands of `texsynth maps` may be asked for, one module a command."""
