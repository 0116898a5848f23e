"""One command line in a forked child, in a folder of its own, under limits; and what it did."""

from __future__ import annotations

import gc
import itertools
import os
import resource
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from texsynth.cli import main
from texsynth.runs import cost

SECONDS = 20  # of CPU; and times ten by the clock, for machines that do other things too
ROOM = 3 << 30  # bytes of address space beyond those of the parent: a guard, far above what is judged
# What no command has a reason to do, by the names of Python's audit events.
NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.bind", "urllib.Request", "webbrowser.open")
PROGRAMS = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "subprocess.Popen", "pty.spawn")
FORBIDDEN = frozenset((*NETWORK, *PROGRAMS, "pickle.find_class"))
TOUCHING = {"os.remove": 1, "os.rename": 2, "os.mkdir": 1, "os.rmdir": 1, "os.link": 2, "os.symlink": 2}

_PLACE: dict[str, Any] = {}  # of the command that runs: its log, its root, its last operation, and a count of them


@dataclass(frozen=True)
class Outcome:
    """What a command did.

    code: its exit code, or minus the signal that ended it.
    memory: the most bytes that it held, libraries included, without what the fuzzer gathered.
    events: what it tried that no command may: the network, other programs, files elsewhere.
    """

    code: int
    out: str
    err: str
    memory: int
    seconds: float
    events: str


def run(
    words: Sequence[str],
    root: Path,
    environment: Mapping[str, str] = MappingProxyType({}),
    kill: float | int | None = None,
    piped: bytes = b"",
) -> Outcome:
    """Run a command line in root/work, without the network; nothing outside `root` may be written.

    piped: what standard input holds.
    kill: SIGKILL ends it after so many seconds, or, as a whole number, before its operation of that number on a file.
    """
    files = _opened(root, piped)
    grown = max(0, _resident() - cost.PROCESS)  # what this process has gathered is no child's
    gc.freeze()  # else the child copies every page that it looks at for garbage
    pid = os.fork()
    if pid == 0:
        os._exit(_do(words, root, files, environment, kill if isinstance(kill, int) else -1))
    timer = threading.Timer(kill, os.kill, (pid, signal.SIGKILL)) if isinstance(kill, float) else None
    if timer is not None:
        timer.start()
    _, status, usage = os.wait4(pid, 0)
    if timer is not None:
        timer.cancel()
    memory = (usage.ru_maxrss << 10) - grown
    seconds = usage.ru_utime + usage.ru_stime
    return Outcome(os.waitstatus_to_exitcode(status), memory=memory, seconds=seconds, **_closed(root, files))


def run_here(words: Sequence[str], root: Path, environment: Mapping[str, str], piped: bytes) -> Outcome:
    """As `run`, in this process, which must be a child that nobody needs afterwards: most of the time of a short
    command is that of its process. The limits are those of all commands of the process together."""
    files, before, gathered = _opened(root, piped), dict(os.environ), _gathered(os.getpid())
    code = _do(words, root, files, environment, -1)
    _PLACE.clear()
    tempfile.tempdir = None
    os.environ.clear()
    os.environ.update(before)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    seconds, memory = usage.ru_utime + usage.ru_stime, (usage.ru_maxrss << 10) - gathered
    return Outcome(code, memory=memory, seconds=seconds, **_closed(root, files))


def _logs(root: Path) -> dict[str, Path]:
    """The files of standard input, output and error, and of what was tried that may not be, beside the folder."""
    return {name: root.with_name(f"{root.name}.{name}") for name in ("in", "out", "err", "events")}


def _opened(root: Path, piped: bytes) -> dict[str, int]:
    files = {name: os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC) for name, path in _logs(root).items()}
    os.pwrite(files["in"], piped, 0)
    return files


def _closed(root: Path, files: dict[str, int]) -> dict[str, str]:
    """The texts of the files, which go."""
    texts = {}
    for name, path in _logs(root).items():
        os.close(files[name])
        texts[name] = path.read_bytes().decode("utf-8", "surrogateescape")
        path.unlink()
    return {name: texts[name] for name in ("out", "err", "events")}


def _do(words: Sequence[str], root: Path, files: dict[str, int], environment: Mapping[str, str], last: int) -> int:
    """Become the command; gives its exit code."""
    code = 99  # of a failure that is the fuzzer's own
    try:
        os.environ.update(environment)
        os.chdir(root / "work")
        for number, name in enumerate(("in", "out", "err")):
            os.dup2(files[name], number)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 (lives as long as the process)
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        _bound()
        tempfile.tempdir = str(root)  # of large arrays, where a picture goes to standard output
        _PLACE.update(log=files["events"], root=str(root), last=last, operations=itertools.count())
        code = main(list(words))
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 99
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return code


@cache
def _bound() -> None:
    """Set the limits of this process and watch it, once."""
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 2))
    resource.setrlimit(resource.RLIMIT_AS, (_address_space() + ROOM,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.alarm(10 * SECONDS)
    sys.addaudithook(_watch)


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@cache
def _gathered(process: int) -> int:
    """The bytes that a process held at its first command beyond what libraries take: what its parent had gathered."""
    del process  # by which it is remembered
    return max(0, _resident() - cost.PROCESS)


def _elsewhere(name: Any) -> bool:
    text = os.fsdecode(name) if isinstance(name, (str, bytes, os.PathLike)) else ""
    return bool(text) and not os.path.realpath(text).startswith((_PLACE["root"], os.devnull))


def _watch(event: str, details: tuple[Any, ...]) -> None:
    """An audit hook that writes down what may not be done, and does not let it happen; before the operation `last` on a
    file it ends the process."""
    if not _PLACE:
        return
    names = details[: TOUCHING.get(event, 0)]
    if event == "open" and isinstance(details[2], int) and details[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        names = details[:1]
    if names and next(_PLACE["operations"]) == _PLACE["last"]:
        os.kill(os.getpid(), signal.SIGKILL)
    if event in FORBIDDEN or any(_elsewhere(name) for name in names):
        os.write(_PLACE["log"], f"{event} {details!r:.200}\n".encode("utf-8", "backslashreplace"))
        raise OSError(f"{event} is not allowed here")
