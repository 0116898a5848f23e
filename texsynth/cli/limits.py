"""A limit on the address space of the process (`ulimit -v`), under which libraries end the process in place of raising
an error. So what they need is tried in a child first; without such a limit nothing is done."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress

from texsynth.errors import ResourceError
from texsynth.runs import fault


def check() -> None:
    """Raise ResourceError where PyTorch cannot be loaded under the limit."""
    limit = fault.limit_named()
    if "torch" not in sys.modules and limit and not _works(_load):
        raise ResourceError(f"{limit} is too small to load PyTorch; raise it, or lift it with `ulimit -v unlimited`")


def _load() -> None:
    """All that a small run needs: the libraries, and threads."""
    import torch

    from texsynth.verbs import synthesize  # noqa: F401 (for what it loads)

    torch.ones(1 << 20).exp()


def _works(work: Callable[[], None]) -> bool:
    """Is there room for it? Tried in a child process, which says nothing."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    code = 1
    with suppress(BaseException):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for number in (1, 2):
            os.dup2(nowhere, number)
        with suppress(ModuleNotFoundError):  # another matter, which is told in its place
            work()
        code = 0
    os._exit(code)
