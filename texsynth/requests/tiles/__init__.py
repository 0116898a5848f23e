"""What the commands of `texsynth tiles` may be asked for, one module a command."""
