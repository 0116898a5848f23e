"""What others wrote is not believed: presets, values of options, and what messages repeat of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from conftest import Refused
from texsynth import preset
from texsynth.errors import LONGEST_MESSAGE, UsageError, one_line, shown
from texsynth.foreign import json_text, regular, yaml_text

LAUGHS = "\n".join(["a0: &a0 [1]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10))])
HOSTILE = {  # content of a preset, and words of its refusal
    "aliases of aliases": (LAUGHS, "more than 4000 values"),
    "an alias inside itself": ("method: &m [*m]", "inside itself"),
    "deep": ("[" * 60_000, "too deep"),
    "many": (f"method: [{'1,' * 30_000}1]", "more than 4000 values"),
    "long": ("# " + "x" * 70_000, "more than 64 kB"),
    "a tag": ('method: steady\npatch: !!bool "x"', "line 2: a tag"),
    "a tag of Python": ("!!python/object/apply:os.system [touch ran]", "line 1: a tag"),
    "a date": ("method: steady\npatch: 2001-99-99", "patch = '2001-99-99', but it is a whole number"),
    "digits": ("method: steady\npatch: " + "1" * 5000, "a number of 5000 digits"),
    "hexadecimal digits": ("method: steady\npatch: 0x" + "f" * 5000, "a number of 5002 digits"),
    "infinity": ("method: steady\nweight: 1.0e+400", "weight = inf, but it is a number"),
    "more than a tensor holds": ("method: steady\nweight: 1\npatch: 99999999999999999999", "a whole number from 3"),
    "no number": ("method: steady\npatch: 0x_", "not YAML"),
    "a character beyond Unicode": ('"\\UFFFFFFFF"', "not YAML"),
    "NUL": ("method: st\0eady", "special characters"),
    "a long word": ("method: " + "x" * 50_000, "there is no method 'xxx"),
    "a long text": ("method: steady\npatch: " + "x" * 50_000, "a whole number"),
    "a list of lists as text": ("method: steady\npasses: '1,],2'", "passes = '1,],2'"),
    "keys that are no words": ("stages: [{method: steady, 1: 2}]", "unknown setting 1"),
    "layers that are no list": (
        "method: optimise\nobjectives: [{loss: gram, features: windows, layers: 5}]",
        "layers = 5, but it is a list",
    ),
    "an escape": ('method: "\\e[31m\\u202e"', "there is no method '\\x1b[31m\\u202e'"),
}


@pytest.mark.parametrize(("text", "words"), HOSTILE.values(), ids=HOSTILE)
@pytest.mark.usefixtures("steady")
def test_a_hostile_preset_is_refused_in_one_short_line(text: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        preset.load(str(file))
    message = str(caught.value)
    assert words in message and message.isprintable() and len(message) < 500


def test_plain_presets_may_be_long_and_repeat_themselves() -> None:
    assert yaml_text.load("\ufeffa: &a [1, x]\nb: *a\nc: 2001-01-01") == {
        "a": [1, "x"],
        "b": [1, "x"],
        "c": "2001-01-01",
    }
    assert len(yaml_text.load("- 1\n" * 3900)) == 3900


@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "nothing", "words", "long name"])
def test_a_preset_is_a_regular_file(kind: str, exemplar: None, refused: Refused) -> None:
    del exemplar
    name = "p" * 300 + ".yaml" if kind == "long name" else "p.yaml"
    if kind == "folder":
        Path(name).mkdir()
    elif kind == "pipe":
        os.mkfifo(name)
    elif kind == "device":
        Path(name).symlink_to("/dev/zero")
    elif kind == "words":
        Path(name).write_bytes("method: steady".encode("utf-16"))
    words = {"folder": "a directory", "pipe": "a pipe", "device": "a device", "words": "not UTF-8"}
    assert words.get(kind, "does not exist") in refused(2, "synthesize", "a.png", "-o", "o.png", "-p", name)


@pytest.mark.parametrize(
    "value", ["[" * 5000, "!!set {a}", "1" * 5000, "x" * 70_000, "1," * 20_000], ids=lambda v: v[:9]
)
def test_a_hostile_value_of_set_is_refused(value: str, exemplar: None, refused: Refused) -> None:
    del exemplar
    assert len(refused(2, "synthesize", "a.png", "-o", "o.png", "-p", "steady", "--set", f"passes={value}")) < 500


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, "[" * 40 + "]" * 40, '{"a":' * 40 + "1" + "}" * 40, "1" * 50, '{"a": 1, "a": 2}', "[1", "{", ""],
    ids=lambda text: text[:9],
)
def test_hostile_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]{1,100}$"):
        json_text.load(text)


def test_json_without_numbers_that_are_none() -> None:
    assert json_text.load('{"a": [NaN, -Infinity, 1e400, 2.5, 2, "b"]}') == {"a": [None, None, None, 2.5, 2, "b"]}


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"12345")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero"), tmp_path / "none", Path("a\0b"), Path("x" * 300)):
        with pytest.raises(OSError, match=r"\w"):
            regular.opened(path)
    assert regular.content(tmp_path / "file", 5) == b"12345"
    with pytest.raises(OSError, match="more than"):
        regular.content(tmp_path / "file", 4)


def test_what_messages_repeat_is_cut_and_escaped() -> None:
    assert shown("a\n\x1b\u202e'") == '"a\\n\\x1b\\u202e\'"'
    assert len(shown("x" * 10**6)) <= 210 and len(shown([["x" * 300] * 50] * 50)) <= 210
    assert shown(10**5000) == "a int of too many digits"
    assert one_line("a\nb\x1b[2J\u202e") == "a b?[2J?"
    assert len(str(UsageError("x" * 10**6))) <= LONGEST_MESSAGE + 3
