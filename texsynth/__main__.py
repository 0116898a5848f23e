"""python -m texsynth."""

from __future__ import annotations

from texsynth.cli import program

program()
