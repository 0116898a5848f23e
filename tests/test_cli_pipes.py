"""`-` as input and output, and the format of what is written."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from conftest import QUICK, Draw, Picture, Ran, Refused, Texsynth, array
from pictures import white
from texsynth.image import picture as image
from texsynth.requests.shared import FORMATS

pytestmark = pytest.mark.usefixtures("exemplar")

Pipe = Callable[..., tuple[Ran, bytes]]
STREAMS = ("stdin", "stdout", "stderr")
SYNTH = ("synthesize", "-", "-o", "-")


class Stream(io.TextIOWrapper):
    """A standard stream of bytes, perhaps a terminal."""

    def __init__(self, content: bytes = b"", terminal: bool = False) -> None:
        super().__init__(io.BytesIO(content))
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


def form_of(file: Path | bytes) -> str | None:
    """The format of a picture, as Pillow calls it; of those that it does not read, by their first bytes."""
    content = file if isinstance(file, bytes) else file.read_bytes()
    for name, begin in (("EXR", b"v/1\1"), ("HDR", b"#?RADIANCE\n")):
        if content.startswith(begin):
            return name
    with Image.open(io.BytesIO(file) if isinstance(file, bytes) else file) as opened:
        return opened.format


@pytest.fixture
def pipe(texsynth: Texsynth, monkeypatch: pytest.MonkeyPatch) -> Pipe:
    """Run a command with the content of a file, or these bytes, as standard input; gives standard output too."""

    def run(source: str | bytes, *words: object) -> tuple[Ran, bytes]:
        out = Stream()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", Stream(Path(source).read_bytes() if isinstance(source, str) else source))
            patch.setattr(sys, "stdout", out)
            ran = texsynth(*words)
        return ran, out.buffer.getvalue()  # type: ignore[attr-defined]

    return run


def test_one_in_one_out(texsynth: Texsynth, pipe: Pipe) -> None:
    """The same picture as from a file; the record names its input, and nothing is written to disk."""
    texsynth("synthesize", "a.png", "-o", "o.png", *QUICK)
    before = sorted(Path().iterdir())
    ran, content = pipe("a.png", *SYNTH, *QUICK)
    assert (ran.code, ran.err) == (0, "") and sorted(Path().iterdir()) == before
    Path("p.png").write_bytes(content)
    assert np.array_equal(array("p.png"), array("o.png"))
    (entry,) = (image.read_metadata("p.png") or {})["inputs"]
    digest = hashlib.sha256(Path("a.png").read_bytes()).hexdigest()
    assert entry == {"role": "exemplar", "name": "stdin", "sha256": digest}


def test_a_picture_by_rows(texsynth: Texsynth, pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes there as a whole, as a file does."""
    texsynth("synthesize", "a.png", "-o", "o.png", *QUICK)
    monkeypatch.setattr(image, "WHOLE", 0)
    ran, content = pipe("a.png", *SYNTH, *QUICK)
    assert (ran.code, ran.err) == (0, "")
    Path("p.png").write_bytes(content)
    assert np.array_equal(array("p.png"), array("o.png")) and image.read_metadata("p.png")
    ran, content = pipe("a.png", *SYNTH, "--format", "tiff", "--no-metadata", *QUICK)
    assert (ran.code, ran.err) == (0, "")
    Path("p.tif").write_bytes(content)
    assert np.array_equal(array("p.tif"), array("o.png"))


def test_a_record_of_standard_input_needs_it_again(pipe: Pipe, refused: Refused, picture: Picture) -> None:
    Path("o.png").write_bytes(pipe("a.png", *SYNTH, "--seed", 3, *QUICK)[1])
    assert "came from standard input; give it" in refused(3, "synthesize", "--from", "o.png", "-o", "p.png")
    picture("b.png", seed=1)
    again = pipe("a.png", *SYNTH, "--from", "o.png", "-q")
    assert again == (Ran(0, "", ""), Path("o.png").read_bytes())
    assert pipe(b"", "synthesize", "a.png", "--from", "o.png", "-o", "-", "-q")[0].code == 0
    ran, content = pipe("b.png", *SYNTH, "--from", "o.png")
    assert (ran.code, content) == (3, b"") and "contents differ" in ran.err


def test_files_by_default(pipe: Pipe) -> None:
    ran, content = pipe("a.png", "synthesize", "-", *QUICK)
    assert (ran.code, content) == (0, b"stdin_synthesize.png\n") and Path("stdin_synthesize.png").exists()
    ran, content = pipe("a.png", "synthesize", "-", "a.png", "-o", "out/", "--format", "jpg", *QUICK)
    assert (ran.code, content) == (0, b"out/stdin.jpg\nout/a.jpg\n")


@pytest.mark.parametrize("name", ["a.jpg", "a.webp", "a.tif", "a.bmp", "a.gif", "a.tga", "a.ppm", "a.avif", "a.jp2"])
def test_every_format_is_known_without_a_name(pipe: Pipe, name: str) -> None:
    Image.open("a.png").save(name)
    ran, content = pipe(name, *SYNTH, "--size", 8, *QUICK)
    assert ran.code == 0 and form_of(content) == "PNG", ran


@pytest.mark.parametrize("word", FORMATS)
def test_formats(pipe: Pipe, texsynth: Texsynth, picture: Picture, word: str) -> None:
    ran, content = pipe("a.png", *SYNTH, "--format", word.lower(), "-p", "steady", "--progress", "none")
    assert ran.code == 0 and form_of(content) == word
    assert ("holds no record" in ran.err) == (word != "PNG")
    picture("in/b.tif")
    ran = texsynth("synthesize", "in", "-o", "out/", "--format", word, *QUICK)
    files = [path for path in Path("out").iterdir() if path.name != "results.jsonl"]
    (written,) = [path for path in files if path.suffix != ".json"]
    assert ran.out == f"{written}\n" and form_of(written) == word
    assert len(files) == (1 if word == "PNG" else 2)


def test_the_formats_are_those_that_are_written() -> None:
    assert {form.name.upper() for form in image.SUFFIXES_WRITE.values()} == set(FORMATS)


def test_every_verb_that_makes_a_picture(pipe: Pipe, picture: Picture, draw: Draw) -> None:
    mask = np.s_[4:8, 4:8]
    draw("m.png", white((16, 16), mask))
    draw("t.png", white((16, 16), np.s_[8:12, 4:8]))
    picture("layer.png", channels=4)
    commands: list[tuple[str, tuple[object, ...]]] = [
        ("m.png", ("inpaint", "a.png", "--mask", "-", *QUICK)),
        ("a.png", ("inpaint", "-", "--mask", "m.png", *QUICK)),
        ("t.png", ("control", "a.png", "--labels", "m.png", "-", *QUICK)),
        ("m.png", ("control", "a.png", "--labels", "-", "t.png", *QUICK)),
        ("a.png", ("barycenter", "a.png", "-", "--mode", "mosaic", *QUICK)),
        ("t.png", ("edit", "a.png", "--mask", "m.png", "--target-mask", "-", *QUICK)),
        ("m.png", ("synthesize", "a.png", "--source-mask", "-", *QUICK)),
        ("a.png", ("synthesize", "a.png", "--init", "-", *QUICK)),
        ("layer.png", ("propagate", "a.png", "-", "a.png", "-q")),
        ("a.png", ("propagate", "a.png", "layer.png", "-", "-q")),
        ("m.png", ("maps", "occlusion", "-", "-q")),
    ]
    for source, words in commands:
        ran, content = pipe(source, *words, "-o", "-")
        assert (ran.code, ran.err) == (0, ""), (words, ran)
        Path("o.png").write_bytes(content)
        inputs = (image.read_metadata("o.png") or {})["inputs"]
        assert [e["name"] for e in inputs].count("stdin") == 1, words
        file = pipe(b"", *[source if word == "-" else word for word in words], "-o", "-")[1]
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), np.asarray(Image.open(io.BytesIO(file))))


@pytest.mark.parametrize(
    "words", ["perlin -s 16", "orientation -", "progression -", "direction circle -s 16", "orientation a.png"]
)
def test_guides(pipe: Pipe, texsynth: Texsynth, words: str) -> None:
    ran, content = pipe("a.png", "guide", *words.split(), "-o", "-")
    assert ran.code == 0 and form_of(content) == "PNG", ran
    texsynth("guide", *("a.png" if word == "-" else word for word in words.split()), "-o", "o.png")
    assert Path("o.png").read_bytes() == content
    assert sorted(path.name for path in Path().iterdir()) == ["a.png", "o.png"]


@pytest.mark.parametrize(
    ("code", "content", "words", "said"),
    [
        (3, b"", SYNTH, "stdin: is empty"),
        (3, b"\x89PNG\r\n\x1a\n broken", SYNTH, "stdin: truncated PNG"),
        (3, b"no picture at all, but words", SYNTH, "stdin: its content is no picture"),
        (2, b"", (*SYNTH, "--source-mask", "-"), "- is named 2 times"),
        (2, b"", ("synthesize", "-", "-", "-o", "o.png"), "- is named 2 times"),
        (2, b"", (*SYNTH, "--json"), "leave --json out"),
        (2, b"", (*SYNTH, "-n", 2), "one picture"),
        (2, b"", (*SYNTH, "--map", "m=a.png"), "leave --map out"),
        (2, b"", (*SYNTH, "--report", "r.html"), "leave --report out"),
        (2, b"", (*SYNTH, "--save-field"), "leave --save-field out"),
        (2, b"", (*SYNTH, "--dry-run"), "leave --dry-run out"),
        (2, b"", (*SYNTH, "--update"), "leave --update out"),
        (2, b"", ("inpaint", "a.png", "-o", "-", "--make-tileable", "x", "--preview"), "leave --preview out"),
        (2, b"", ("control", "a.png", "-o", "-", "--save-guides", "g"), "leave --save-guides out"),
        (2, b"", ("propagate", "a.png", "a.png", "a.png", "-o", "-", "--save-warp"), "leave --save-warp out"),
        (2, b"", ("synthesize", ".", "-o", "-"), "is a folder"),
        (2, b"", ("train", "texture-net", "-"), "does not read"),
        (2, b"", ("evaluate", "-", "a.png"), "does not read"),
        (2, b"", ("synthesize", "a.png", "-o", "o.png", "--format", "jpeg"), "its suffix says PNG, and --format JPEG"),
        (2, b"", ("synthesize", "a.png", "-o", "-", "--format", "gif"), "--format 'GIF' is not one of PNG"),
        (2, b"", (*SYNTH, "--format", "webp", "--size", "20000x8"), "too long for WebP"),
        (2, b"", ("guide", "direction", "circle", "-o", "-", "--strokes", "s.png"), "leave --strokes out"),
        (3, b"", ("guide", "progression", "-", "-o", "-"), "stdin: is empty"),
        (4, b"12345678" * 1000, (*SYNTH, "--max-memory", "4k"), "stdin: holds more than"),
        (2, b"", ("synthesize", "a.png", "-o", "./-"), "cannot write no suffix"),
        (3, b"", ("synthesize", "./-", "-o", "-"), "-: no such file"),
    ],
)
def test_what_pipes_cannot_do(pipe: Pipe, code: int, content: bytes, words: tuple[object, ...], said: str) -> None:
    """Exit codes, one line, and nothing on standard output or on disk."""
    content = content or (b"" if code == 3 else Path("a.png").read_bytes())
    ran, out = pipe(content, *words, *(() if words[0] in ("train", "evaluate", "propagate", "guide") else QUICK))
    assert (ran.code, out) == (code, b"") and said in ran.err and ran.err.count("\n") == 1, ran
    assert [path.name for path in Path().iterdir()] == ["a.png"]


def test_maps_of_a_record_do_not_go_to_standard_output(texsynth: Texsynth, pipe: Pipe) -> None:
    texsynth("synthesize", "a.png", "-o", "o.png", "--map", "m=a.png", *QUICK)
    ran, content = pipe("a.png", *SYNTH, "--from", "o.png")
    assert (ran.code, content) == (2, b"") and "leave --map out" in ran.err


@pytest.mark.parametrize(("number", "code", "said"), [(errno.EPIPE, 141, ""), (errno.ENOSPC, 4, "cannot be written")])
def test_a_reader_that_has_gone(
    texsynth: Texsynth, monkeypatch: pytest.MonkeyPatch, number: int, code: int, said: str
) -> None:
    class Broken(io.BytesIO):
        def write(self, _: Any) -> int:
            raise OSError(number, os.strerror(number))

    out = Stream()
    monkeypatch.setattr(type(out), "buffer", Broken())
    monkeypatch.setattr(sys, "stdout", out)
    ran = texsynth("synthesize", "a.png", "-o", "-", *QUICK)
    assert ran.code == code and said in ran.err and ran.err.count("\n") == bool(said)


@pytest.mark.parametrize(("name", "words"), [("stdin", (*SYNTH,)), ("stdout", ("synthesize", "a.png", "-o", "-"))])
def test_terminals_are_refused(
    refused: Refused, monkeypatch: pytest.MonkeyPatch, name: str, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr(sys, "stdin", Stream(terminal=name == "stdin"))
    stdout: Any = sys.stdout
    monkeypatch.setattr(stdout, "isatty", lambda: name == "stdout", raising=False)
    assert "is a terminal" in refused(2, *words)


def test_a_real_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    words = [sys.executable, "-m", "texsynth", "synthesize", "-", "-s", "20", "-o", "-", "--quality", "draft", "-q"]
    process = subprocess.Popen(words, cwd=tmp_path, env=environment, **dict.fromkeys(STREAMS, subprocess.PIPE))
    out, err = process.communicate(Path("a.png").read_bytes(), timeout=60)
    assert (process.returncode, err) == (0, b"")
    (tmp_path / "o.png").write_bytes(out)
    assert array("o.png").shape == (20, 20, 3)
