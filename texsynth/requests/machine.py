"""The words for what a command may use of its machine, as far as they can be read without torch."""

from __future__ import annotations

import re

from texsynth.errors import UsageError, one_line, shown

LONGEST_WORD = 60  # characters of an amount; longer ones are none
UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def memory(value: str | int) -> int:
    """ "4G", "512M", "1.5GB" or a number of bytes -> bytes, in powers of 1024."""
    match = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*([kmgt]?)i?b?", one_line(value, LONGEST_WORD).lower())
    size = int(float(match[1]) * UNITS[match[2]]) if match else 0
    if not 0 < size < 1 << 63:
        raise UsageError(f"--max-memory {shown(value)} is not an amount of memory; write for example 4G or 800M")
    return size


def check_device(name: str) -> None:
    """Raise UsageError for a word that names no device of any machine."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?|mps", name):
        raise UsageError(f"--device {shown(name)} is not one of auto, cpu, cuda, cuda:N, mps")
