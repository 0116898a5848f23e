"""A short run of the fuzzer and of the kills, with seeds of their own; `make fuzz` is the long one."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

import fuzz
import kills
import pytest
from fuzzing import child, judge, seeds
from fuzzing.tries import Try

TRIES = 275


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of good files."""
    folder = tmp_path_factory.mktemp("good")
    seeds.draw(folder, networks=1)
    return folder


@pytest.mark.parametrize("kind", fuzz.KINDS)
def test_hostile_inputs(good: Path, kind: str) -> None:
    plan = fuzz.Plan(17, (kind,), good, None)
    results = fuzz.together(plan, range(TRIES // len(fuzz.KINDS)))
    assert not any(result.wrong for result in results), fuzz.table(results)


def test_kills(good: Path, tmp_path: Path) -> None:
    command = kills.whole(kills.COMMANDS[0], good, tmp_path / "whole")
    for operation in (2, 9, 16):
        assert kills.wrong_after(command, tmp_path / str(operation), operation) == []


def evil(words: list[str]) -> int:
    """A command that does what none may do."""
    deeds = {
        "raises": lambda: 1 // 0,
        "dies": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "runs": lambda: os.system("true"),
        "connects": lambda: socket.create_connection(("127.0.0.1", 9)),
        "writes elsewhere": lambda: Path("../../x").write_text("x"),
        "changes": lambda: Path("a.png").write_text("x"),
        "leaves": lambda: Path(".o.png.1.part").write_text("x"),
        "cuts": lambda: Path("o.png").write_bytes(Path("a.png").read_bytes()[:500]),
        "paints": lambda: print("texsynth: \x1b[31mred", file=sys.stderr),
        "warns": lambda: print("UserWarning: old", file=sys.stderr),
        "takes": lambda: None,
        "says": lambda: print("something"),
    }
    deeds[words[1]]()
    print("texsynth: error: no", file=sys.stderr)
    return 3


@pytest.mark.parametrize(
    ("deed", "wrong"),
    {
        "raises": "unexpected: ZeroDivisionError",
        "dies": "dies of signal 9",
        "runs": "touches what it may not: os.system",
        "connects": "touches what it may not: socket.getaddrinfo",
        "writes elsewhere": "touches what it may not: open",
        "changes": "an input is changed or gone: a.png",
        "leaves": "is left behind: .o.png.1.part",
        "cuts": "wrote a file that cannot be read: .png (OSError)",
        "paints": "control characters",
        "warns": "a line on stderr that is not its own",
        "takes": "more memory than --max-memory",
        "says": "an error, and something on stdout",
    }.items(),
)
def test_what_is_wrong_is_seen(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deed: str, wrong: str
) -> None:
    monkeypatch.setattr(child, "main", evil)
    monkeypatch.setattr(judge, "MEMORY", 1 if deed == "takes" else 1 << 40)
    files = {"a.png": (good / "a.png").read_bytes()}
    kills.put(files, tmp_path / "root")
    trial = Try("picture", ("synthesize", deed), files, frozenset(), frozenset((0, 3)), False)
    did = child.run(trial.words, tmp_path / "root")
    assert any(each.startswith(wrong) for each in judge.findings(trial, did, files, tmp_path / "root" / "work"))
