"""The command as a process: signals, streams, and what is left behind."""

from __future__ import annotations

import errno
import gc
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import fakes
from conftest import QUICK, Picture, Refused, Texsynth
from texsynth.cli import lifetime, main
from texsynth.image import picture as image
from texsynth.runs import fault

POSIX = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
TESTS = Path(__file__).parent
PLAIN = ("-m", "texsynth")
# The same entry with the method of fakes/ known: its steps can be slow, which leaves time for a signal.
FAKED = """
import fakes, sys
from texsynth.cli import main
fakes.register()
sys.exit(main(sys.argv[1:]))
"""
SLOW = ("-p", "slow.yaml", "--progress", "jsonl", "--map", "m=a.png", "--save-field")


@contextmanager
def started(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, *words],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(map(str, (TESTS, TESTS.parent)))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process
        process.kill()  # no more than a precaution: every test has waited for its end


def stopped(folder: Path, number: int) -> tuple[int, str, str]:
    """Send a signal to a slow run after its first step: exit code, stdout, the last line of stderr."""
    (folder / "slow.yaml").write_text("method: steady\npause: 0.02\npasses: [1000, 1000]\n")
    with started(folder, "-c", FAKED, "synthesize", "a.png", "-o", "o.png", *SLOW) as process:
        assert process.stderr is not None
        events = [json.loads(process.stderr.readline())["event"] for _ in range(3)]
        assert events == ["part", "part", "step"]
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    return process.returncode, out, err.splitlines()[-1] if err else ""


@POSIX
def test_stopped_or_killed(tmp_path: Path, picture: Picture) -> None:
    """SIGTERM saves the picture so far; SIGKILL leaves nothing partial."""
    picture("a.png", (32, 32))
    assert stopped(tmp_path, signal.SIGKILL)[:2] == (-signal.SIGKILL, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "slow.yaml"]
    code, out, last = stopped(tmp_path, signal.SIGTERM)
    assert (code, out) == (143, "o.png\n"), last
    assert last == "texsynth: interrupted: the picture so far is o.png"
    assert image.read(tmp_path / "o.png").width == 64 and (tmp_path / "o_m.png").exists()


def sent_when(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, *numbers: int) -> None:
    """Send this process signals when a function is called for the first time."""
    original, left = getattr(owner, name), list(numbers)

    def call(*words: Any, **more: Any) -> Any:
        while left:
            signal.raise_signal(left.pop(0))
        return original(*words, **more)

    monkeypatch.setattr(owner, name, call)


@POSIX
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_every_signal_saves_the_picture_so_far(
    texsynth: Texsynth, picture: Picture, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """It is full-size, the rest of a batch is not started, and JSON says so."""
    number = getattr(signal, name)
    for each in ("in/a.png", "in/b.png"):
        picture(each)
    before = signal.getsignal(number)
    sent_when(monkeypatch, fakes.METHODS["steady"], "_fail", number)
    ran = texsynth("synthesize", "in", "-o", "out/", "--keep-going", "--json", *QUICK)
    printed = json.loads(ran.out)
    assert (ran.code, printed["interrupted"], printed["failed"]) == (128 + number, True, [])
    assert [(run["image"], run["interrupted"]) for run in printed["runs"]] == [("out/a.png", True)]
    assert ran.err == "texsynth: interrupted: the picture so far is out/a.png\n"
    assert image.read("out/a.png").width == 32 and not Path("out/b.png").exists()
    assert signal.getsignal(number) == before


@POSIX
def test_what_is_ignored_from_the_start_stays_so(
    texsynth: Texsynth, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture("a.png")
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        sent_when(monkeypatch, fakes.METHODS["steady"], "_fail", signal.SIGHUP)
        assert texsynth("synthesize", "a.png", "-o", "o.png", *QUICK).code == 0
    finally:
        signal.signal(signal.SIGHUP, before)


@POSIX
def test_a_signal_while_writing(texsynth: Texsynth, picture: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first lets the files be finished, the second ends at once and leaves nothing."""
    picture("a.png")
    words = ("synthesize", "a.png", "-o", "o.png", *QUICK)
    with monkeypatch.context() as patched:
        sent_when(patched, Path, "write_bytes", signal.SIGTERM, signal.SIGINT)
        ran = texsynth(*words)
    assert (ran.code, ran.out, ran.err.count("\n")) == (143, "", 1) and "second signal" in ran.err
    assert [path.name for path in Path().iterdir()] == ["a.png"]
    with monkeypatch.context() as patched:
        sent_when(patched, Path, "write_bytes", signal.SIGTERM)
        ran = texsynth(*words)
    assert (ran.code, ran.out) == (143, "o.png\n") and "o.png" in ran.err
    assert "interrupted" not in (image.read_metadata("o.png") or {})


NOTHING_YET = [
    ("synthesize", "a.png", "-o", "o.png"),
    ("control", "a.png", "--orientation", "circle", "-o", "o.png"),
    ("inpaint", "a.png", "--make-tileable", "x", "-o", "o.png"),
    ("barycenter", "a.png", "a.png", "-o", "o.png"),
    ("edit", "a.png", "--retarget", "20x16", "-o", "o.png"),
    ("propagate", "a.png", "a.png", "a.png", "-o", "o.png"),
    ("train", "easy", "a.png", "-o", "o.safetensors"),
    ("evaluate", "a.png", "a.png"),
    ("guide", "orientation", "a.png", "-o", "o.png"),
]


@POSIX
@pytest.mark.parametrize("words", NOTHING_YET, ids=lambda words: words[0])
def test_stopped_while_reading(
    texsynth: Texsynth, picture: Picture, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    picture("a.png")
    sent_when(monkeypatch, image, "read", signal.SIGTERM)
    ran = texsynth(*words)
    last = ran.err.splitlines()[-1]
    assert (ran.code, ran.out) == (143, "") and last.startswith("texsynth: interrupted: "), ran
    assert ("nothing was scored" if words[0] == "evaluate" else "no picture yet") in last
    assert [path.name for path in Path().iterdir()] == ["a.png"]


@POSIX
def test_stopped_while_torch_is_imported(tmp_path: Path) -> None:
    code = (
        "import signal, sys\n"
        "class Hook:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'torch':\n"
        "            signal.raise_signal(signal.SIGHUP)\n"
        "sys.meta_path.insert(0, Hook())\n"
        "from texsynth.cli import main\n"
        "sys.exit(main(['evaluate', 'a.png', 'b.png', '--json']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (129, "texsynth: interrupted: there was no picture yet to save\n")
    assert json.loads(done.stdout)["interrupted"] is True


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not hold to the limit")
@pytest.mark.parametrize("words", ["synthesize a.png", "guide perlin -o o.png"])
def test_an_address_space_that_is_too_small(tmp_path: Path, picture: Picture, words: str) -> None:
    """It ends the command before a library ends the process; help needs no library."""
    picture("a.png")
    command = f"ulimit -v 400000; {sys.executable} -m texsynth {words}"
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (4, "", 1), done
    assert "address-space limit of 0.4 GB (ulimit -v) is too small to load PyTorch" in done.stderr


@pytest.mark.parametrize(
    "failure",
    [MemoryError(), OSError(errno.ENOMEM, "?"), RuntimeError("std::bad_alloc"), RuntimeError("can't start new thread")],
)
def test_memory_that_ends_under_a_limit(
    refused: Refused, picture: Picture, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    picture("a.png")
    monkeypatch.setattr(fault, "address_space", lambda: 3 << 30)

    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr(fakes.METHODS["steady"], "_fail", fail)
    line = refused(4, "synthesize", "a.png", "-o", "o.png", *QUICK)
    assert "out of memory under the address-space limit of 3.0 GB (ulimit -v); raise it" in line


class Broken(io.StringIO):
    """A stream that cannot be written, as one that is buffered says it: when it is flushed."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def flush(self) -> None:
        raise OSError(self.number, os.strerror(self.number))


BROKEN = [
    (errno.EPIPE, 141, ""),
    (errno.ENOSPC, 4, "texsynth: error: standard output cannot be written (No space left on device)\n"),
]


@pytest.mark.parametrize(("number", "code", "said"), BROKEN)
@pytest.mark.parametrize("words", [("--help",), ("--version",), ("presets", "list"), "completion", "batch"], ids=str)
def test_standard_output_that_cannot_be_written(
    texsynth: Texsynth, picture: Picture, monkeypatch: pytest.MonkeyPatch, words: Any, number: int, code: int, said: str
) -> None:
    """A reader that has gone ends the program as it ends other tools; anything else is told. Pictures are kept."""
    if words == "completion":
        for name, value in {
            "_TEXSYNTH_COMPLETE": "complete_bash",
            "COMP_WORDS": "texsynth s",
            "COMP_CWORD": "1",
        }.items():
            monkeypatch.setenv(name, value)
    if words == "batch":
        picture("in/a.png")
    monkeypatch.setattr(sys, "stdout", Broken(number))
    batch = ("synthesize", "in", "-o", "out/", "--keep-going", *QUICK)
    ran = texsynth(*{"batch": batch, "completion": ()}.get(words, words))
    assert (ran.code, ran.err) == (code, said)
    assert words != "batch" or Path("out/a.png").exists()


def test_messages_that_cannot_be_written_end_nothing(
    texsynth: Texsynth, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture("a.png")
    monkeypatch.setattr(sys, "stderr", Broken(errno.EPIPE))
    ran = texsynth("synthesize", "a.png", "-o", "o.png", "-p", "steady", "-v")
    assert (ran.code, ran.out) == (0, "o.png\n")
    assert texsynth("synthesize", "none.png").code == 3


@POSIX
def test_streams_that_are_closed(tmp_path: Path) -> None:
    """What cannot be printed is an error; an error is not printed elsewhere."""
    command = f"{sys.executable} -m texsynth "
    for words, code in (("--version >&-", 4), ("--version 2>&- >&-", 4), ("--zzz 2>&-", 2)):
        done = subprocess.run(command + words, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (code, "")


def test_a_name_that_the_encoding_lacks(
    texsynth: Texsynth, picture: Picture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is printed byte for byte."""
    picture("a.png")
    with (tmp_path / "out.txt").open("w", encoding="ascii") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert texsynth("synthesize", "a.png", "-o", "ö.png", *QUICK).code == 0
    assert (tmp_path / "out.txt").read_bytes() == os.fsencode("ö.png\n")


def test_streams_of_a_plain_run(tmp_path: Path, picture: Picture) -> None:
    """Names are any bytes, where the system has them so; an error is one line."""
    picture("a.png")
    exemplar, output, shown, none = "\udcff\x1b[31m \n.png", "\udcfe.png", b"?.png", "\x1b[31m\n.png"
    if sys.platform != "linux":
        exemplar, output, shown, none = "ö.png", "o.png", b"o.png", "none.png"
    (tmp_path / "a.png").rename(tmp_path / exemplar)
    words = [sys.executable, *PLAIN, "synthesize", exemplar, "-o", output, "--quality", "draft"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, os.fsencode(f"{output}\n")) and b"\x1b" not in done.stderr
    lines = done.stderr.splitlines()
    assert all(line.startswith(b"texsynth: " + shown + b": ") for line in lines)
    assert b"%, level 0, loss " in done.stderr
    again = subprocess.run([*words[:4], none], cwd=tmp_path, capture_output=True, check=False)
    assert (again.returncode, again.stdout, again.stderr.count(b"\n")) == (3, b"", 1) and b"\x1b" not in again.stderr


def test_presets_are_listed_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom texsynth.cli import main\n"
        "assert main(['presets', 'list']) == 0 and main(['--version']) == 0\n"
        "assert main(['synthesize', '--help']) == 0 and main(['synthesize', '--zzz']) == 2\n"
        "print([m for m in ('torch', 'numpy', 'PIL') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"


PROGRAM = """
import atexit, sys, threading
from texsynth.cli import program
class Left:
    def __del__(self):
        print("taken apart")
left = Left()
atexit.register(print, "a handler")
sys.argv = ["texsynth", *sys.argv[1:]]
"""
THREAD = "threading.Thread(target=lambda: (threading.main_thread().join(), print('a thread'))).start()\n"
WATCHED = "import cProfile; cProfile.Profile().enable()\n"


@pytest.mark.parametrize(
    ("before", "words", "code", "said"),
    [
        ("", ["--version"], 0, ["a handler"]),
        ("", ["--zzz"], 2, ["a handler"]),
        (THREAD, ["--version"], 0, ["a thread", "a handler", "taken apart"]),
        (WATCHED, ["--version"], 0, ["a handler", "taken apart"]),
    ],
    ids=["ended", "failed", "thread", "watched"],
)
def test_the_end_of_the_process(tmp_path: Path, before: str, words: list[str], code: int, said: list[str]) -> None:
    """Nothing is taken apart, but who waits for the end is told of it, and what was printed is there."""
    command = [sys.executable, "-c", f"{PROGRAM}{before}program()", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert (done.returncode, lines[len(lines) - len(said) :]) == (code, said), done
    assert len(lines) == len(said) + (code == 0)


def test_garbage_is_collected_again_once_all_is_loaded(texsynth: Texsynth, picture: Picture) -> None:
    """A batch may take hours. Programs that call the command line are left alone."""
    picture("a.png")
    words = ("synthesize", "a.png", "-o", "o.png", "--force", *QUICK)
    assert texsynth(*words).code == 0 and gc.isenabled() and gc.get_freeze_count() == 0
    try:
        lifetime.begin()
        assert main(["--version"]) == 0 and not gc.isenabled()
        assert texsynth(*words).code == 0 and gc.isenabled() and gc.get_freeze_count() > 0
    finally:
        gc.enable()
        gc.unfreeze()
