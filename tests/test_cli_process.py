"""The command as a process: signals, streams, and what is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conftest import Picture
from texsynth.image import picture as image

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
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent)},
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
        first = process.stderr.readline()
        assert json.loads(first)["event"] == "step", first
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    return process.returncode, out, err.splitlines()[-1] if err else ""


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_ctrl_c(tmp_path: Path, picture: Picture) -> None:
    picture("a.png", (32, 32))
    code, out, last = stopped(tmp_path, signal.SIGINT)
    assert (code, out) == (130, "o.png\n")
    assert last == "texsynth: interrupted: the picture so far is o.png"
    assert image.read(tmp_path / "o.png").width == 64 and (tmp_path / "o_m.png").exists()


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_terminated_or_killed_nothing_partial_is_left(tmp_path: Path, picture: Picture) -> None:
    picture("a.png", (32, 32))
    for number, code in ((signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)):
        returned, out, _ = stopped(tmp_path, number)
        assert (returned, out) == (code, "")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "slow.yaml"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_terminated_while_writing(tmp_path: Path, picture: Picture) -> None:
    """The signal comes while the temporary file stands: it is cleared away."""
    picture("a.png")
    code = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "write = Path.write_bytes\n"
        "def slow(self, data):\n"
        "    write(self, data[:10])\n"
        "    assert self.name.endswith('.part') and self.exists()\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "Path.write_bytes = slow\n"
        "from texsynth.cli import main\n"
        "sys.exit(main(['synthesize', 'a.png', '-o', 'o.png', '--quality', 'draft']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (143, "")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_streams_of_a_plain_run(tmp_path: Path, picture: Picture) -> None:
    picture("a.png")
    with started(tmp_path, *PLAIN, "synthesize", "a.png", "-o", "o.png", "--quality", "draft") as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "o.png\n")
    assert all(line.startswith("texsynth: o.png: ") for line in err.splitlines()) and "100%" in err


@pytest.mark.skipif(sys.platform != "linux", reason="file names that are bytes")
def test_names_of_any_bytes(tmp_path: Path, picture: Picture) -> None:
    picture("a.png")
    name = os.fsencode(tmp_path) + b"/\xff\x1b[31m \n.png"
    (tmp_path / "a.png").rename(os.fsdecode(name))
    words = [sys.executable, "-m", "texsynth", "synthesize", name, "-o", b"\xfe.png", "--quality", "draft"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"\xfe.png\n") and b"\x1b" not in done.stderr
    again = subprocess.run([*words[:4], b"\x1b[31m\n.png"], cwd=tmp_path, capture_output=True, check=False)
    assert (again.returncode, again.stderr.count(b"\n")) == (3, 1) and b"\x1b" not in again.stderr


def test_an_error_of_a_process(tmp_path: Path) -> None:
    with started(tmp_path, *PLAIN, "synthesize", "none.png") as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err.count("\n")) == (3, "", 1)


def test_presets_are_listed_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom texsynth.cli import main\n"
        "assert main(['presets', 'list']) == 0 and main(['--version']) == 0\n"
        "assert main(['synthesize', '--help']) == 0 and main(['synthesize', '--zzz']) == 2\n"
        "print([m for m in ('torch', 'numpy', 'PIL') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"
