"""texsynth timed beside other programs: the table, and what is refused."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import peers
import pytest
from field import Measured

from conftest import Picture

COPY = "import shutil, sys; shutil.copy(*sys.argv[1:3])"
FAKE = f"{shlex.quote(sys.executable)} -c {shlex.quote(COPY)} {{exemplar}} {{output}} {{width}},{{height}}"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_table(picture: Picture, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The other program really runs; texsynth in turn with it, as long as is said here."""
    picture("a b.png", (24, 16))
    asked: list[str] = []

    def taken_by(arguments: list[str], _: object) -> tuple[Measured, object]:
        asked.append(" ".join(arguments))
        return Measured(100.0 if "--dry-run" in arguments else 300.0, 7.0, 1), None

    monkeypatch.setattr(peers, "taken_by", taken_by)
    peers.main([FAKE, FAKE, "--exemplar", "a b.png", "--sizes", "16x24", "--repeats", "3"])
    head, _, names, _, *rows = capsys.readouterr().out.splitlines()
    assert head.startswith("a b.png; median of 3; ")
    assert [name.strip() for name in names.strip("|").split("|")] == list(peers.COLUMNS)
    assert len(asked) == 6 and all("--size 16x24" in each for each in asked)
    assert ["--dry-run" in each for each in asked] == [False, True] * 3
    assert len(rows) == 2
    cells = map(str.strip, rows[0][1:-1].split("|"))
    size, ours, start, name, theirs, ratio, without, processor = cells
    assert (size, ours, start, processor[:9]) == ("16x24", "300.00", "100.00", "7.00 and ")
    assert name == sys.executable.rpartition("/")[2] and 0 < float(theirs) < 60
    assert float(ratio) == pytest.approx(1.5 * float(without), rel=0.01)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["p {exemplar} {output} {side}"], "holds {side}; allowed are {exemplar} {output} {width} {height}"),
        (["p {exemplar}"], "lacks {output}; say where it goes"),
        (["p '{exemplar} {output}"], "is no command (No closing quotation); close what is quoted"),
        ([FAKE, "--sizes", "16", "0"], "--sizes 0: give pixels, such as 512 or 512x256"),
        ([FAKE, "--repeats", "0"], "--repeats 0: at least 1 is needed"),
        ([FAKE, "--exemplar", "none.png"], "--exemplar none.png: there is no such file"),
    ],
)
def test_what_is_refused(capsys: pytest.CaptureFixture[str], words: list[str], line: str) -> None:
    with pytest.raises(SystemExit) as stop:
        peers.main(words)
    out, err = capsys.readouterr()
    assert (stop.value.code, out) == (2, "") and err.startswith("peers: ") and err.endswith(f"{line}\n")


@pytest.mark.parametrize(
    ("template", "line"),
    [
        (
            "no-such-program {exemplar} {output}",
            "no-such-program: cannot be run (No such file",
        ),
        (FAKE, "made 24x24, 9x9 was asked; its template must say both"),
        (f"{shlex.quote(sys.executable)} -c 0 {{exemplar}} {{output}}", "made no PNG, 9x9 was asked"),
        (f"{shlex.quote(sys.executable)} -c 'exit(3)' {{exemplar}} {{output}}", "exit 3: it says nothing"),
    ],
)
def test_a_program_that_fails(picture: Picture, monkeypatch: pytest.MonkeyPatch, template: str, line: str) -> None:
    picture("a.png", (24, 24))
    monkeypatch.setattr(peers, "taken_by", lambda *_: (Measured(1.0, 1.0, 1), None))
    with pytest.raises(SystemExit) as stop:
        peers.main([template, "--exemplar", "a.png", "--sizes", "9"])
    assert line in str(stop.value.code)
