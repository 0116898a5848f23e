"""Work on parts that do not depend on each other, side by side: most of it, as sorting, takes one thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

MOST = 2  # parts at once, which bounds the memory

Part = TypeVar("Part")
Result = TypeVar("Result")


def each(work: Callable[[Part], Result], parts: Iterable[Part]) -> list[Result]:
    """What becomes of each part, in order, by up to MOST of the threads of PyTorch; raises what the work does."""
    threads = min(MOST, torch.get_num_threads())
    if threads == 1:
        return [work(part) for part in parts]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, parts))
