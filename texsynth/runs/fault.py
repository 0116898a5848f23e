"""What an error means to the user: one line, and the exit code of the command line. Importing this loads no torch."""

from __future__ import annotations

import errno
import sys
from contextlib import suppress

from texsynth.errors import TexsynthError, one_line

MISNAMED = (errno.ENAMETOOLONG, errno.ELOOP)  # what looking at a name of any kind may end with
SHORT_OF_MEMORY = (
    *("can't allocate memory", "out of memory", "bad_alloc", "can't start new thread"),
    *("cannot allocate memory", "failed to map segment"),  # of a library that is loaded
)


def explained(error: BaseException, where: str = "--debug shows where") -> tuple[str, int]:
    """One line for the user, and the exit code. where: how to learn more of an error that is unexpected."""
    if isinstance(error, TexsynthError):
        return one_line(error), error.exit_code
    if isinstance(error, OSError) and error.errno in MISNAMED:
        name = one_line(error.filename)
        return f"{name[:40]}{'...' * (len(name) > 40)}: {error.strerror}; give another name", 2
    if _out_of_memory(error):
        limit = limit_named()
        under = f" under {limit}; raise it, or" if limit else ";"
        return f"out of memory{under} try a smaller --size, a --crop, or --device cpu", 4
    return f"{type(error).__name__}: {one_line(error)} (unexpected; {where})", 1


def limit_named() -> str:
    """The limit on the address space of the process (`ulimit -v`), as messages name it; "" without one."""
    limit = address_space()
    return "" if limit is None else f"the address-space limit of {limit / (1 << 30):.1f} GB (ulimit -v)"


def address_space() -> int | None:
    """The limit in bytes; None without one, and where the system has none."""
    with suppress(ImportError, AttributeError, OSError):
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        return None if limit == resource.RLIM_INFINITY else limit
    return None


def _out_of_memory(error: BaseException) -> bool:
    torch = sys.modules.get("torch")
    if isinstance(error, MemoryError) or (torch is not None and isinstance(error, torch.OutOfMemoryError)):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    return isinstance(error, (RuntimeError, ImportError)) and any(words in str(error) for words in SHORT_OF_MEMORY)
