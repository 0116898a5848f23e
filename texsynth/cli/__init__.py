"""The command line. Nothing here computes, and nothing here imports torch before work starts."""

from __future__ import annotations

from texsynth.cli.process import main, program

__all__ = ["main", "program"]
