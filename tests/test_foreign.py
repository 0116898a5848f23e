"""What others wrote is not believed: presets, values of options, and what messages repeat of them."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Any

import pytest

from asking import record_of
from conftest import QUICK, Refused, Texsynth
from texsynth import preset
from texsynth.errors import LONGEST_MESSAGE, UsageError, one_line, shown
from texsynth.foreign import json_text, regular, yaml_text
from texsynth.image import picture as image
from texsynth.report.evaluation import comma_separated

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


def test_json_is_written_as_others_read_it() -> None:
    assert (
        json_text.text({"a": [float("nan"), (1.5, float("inf"))], "b": "ü"})
        == '{"a": [null, [1.5, null]], "b": "\\u00fc"}'
    )


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"12345")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero"), tmp_path / "none", Path("a\0b"), Path("x" * 300)):
        with pytest.raises(OSError, match=r"\w"):
            regular.opened(path)
    assert regular.content(tmp_path / "file", 5) == b"12345"
    with pytest.raises(OSError, match="more than"):
        regular.content(tmp_path / "file", 4)


def test_what_a_preset_says_is_escaped(texsynth: Texsynth) -> None:
    Path("p.yaml").write_text('method: steady\ndescription: "\\e[2J"\nnote: "\\e[31m\\u202e"')
    ran = texsynth("presets", "show", "p.yaml")
    assert ran.code == 0 and all(line.isprintable() for line in ran.out.splitlines())


def test_no_cell_of_a_table_is_a_formula() -> None:
    texts = ["=1+1", "+1", "-1", "@x", "\tx", "a=1", -1.5, 2, None]
    assert comma_separated([texts]) == "'=1+1,'+1,'-1,'@x,'\tx,a=1,-1.5,2,\n"


def test_a_pipe_for_a_map_of_directions_is_not_waited_for(exemplar: None, refused: Refused) -> None:
    del exemplar
    os.mkfifo("d.npy")
    assert "a pipe" in refused(3, "control", "a.png", "--orientation", "d.npy", "-o", "o.png", *QUICK)


def test_what_messages_repeat_is_cut_and_escaped() -> None:
    assert shown("a\n\x1b\u202e'") == '"a\\n\\x1b\\u202e\'"'
    assert len(shown("x" * 10**6)) <= 210 and len(shown([["x" * 300] * 50] * 50)) <= 210
    assert shown(10**5000) == "a int of too many digits"
    assert one_line("a\nb\x1b[2J\u202e") == "a b?[2J?"
    assert len(str(UsageError("x" * 10**6))) <= LONGEST_MESSAGE + 3


ENTRY = {"role": "exemplar", "name": "a.png", "sha256": "0" * 64}
STAGE = {"method": "steady"}
BAD_RECORDS = {  # what stands in place of what a run records
    "a negative seed": {"seed": -1},
    "a seed that no generator takes": {"seed": 2**64},
    "a switch for a number": {"seed": True},
    "a number for a word": {"tile": 3},
    "a word that is none": {"tile": "z"},
    "no size": {"size": "-1x-1"},
    "a size without an end": {"size": "9" * 30},
    "a crop of one number": {"crop": "3"},
    "a crop that is no text": {"crop": [1, 2, 3, 4]},
    "a switch that is a word": {"flatten": "yes"},
    "inputs that are none": {"inputs": [3]},
    "a role that is no text": {"inputs": [{**ENTRY, "role": 3}]},
    "a map that would leave its folder": {"inputs": [{**ENTRY, "role": "map:../x"}]},
    "a name that is no text": {"inputs": [{**ENTRY, "name": ["a.png"]}]},
    "a long name": {"inputs": [{**ENTRY, "name": "n" * 300}]},
    "a name with NUL": {"inputs": [{**ENTRY, "name": "a\0.png"}]},
    "a name with escapes": {"inputs": [{**ENTRY, "name": "\x1b[31m.png"}]},
    "a hash that is none": {"inputs": [{**ENTRY, "sha256": "x" * 64}]},
    "a preset of another name": {"preset": {"name": 3, "stages": [STAGE]}},
    "a method that is none": {"preset": {"name": "p", "stages": [{"method": "m\x1b" * 9999}]}},
    "a setting out of its limits": {"preset": {"name": "p", "stages": [{**STAGE, "patch": 2}]}},
    "a setting of another type": {"preset": {"name": "p", "stages": [{**STAGE, "passes": {"a": [[]]}}]}},
    "another verb": {"verb": "x" * 9999},
}


@pytest.fixture
def output(exemplar: None, texsynth: Texsynth) -> dict[str, Any]:
    """o.png, made of a.png; gives its record."""
    del exemplar
    assert texsynth("synthesize", "a.png", "-o", "o.png", *QUICK).code == 0
    return record_of("o.png")


@pytest.mark.parametrize("change", BAD_RECORDS.values(), ids=BAD_RECORDS)
def test_a_bad_record_is_refused(change: dict[str, Any], output: dict[str, Any], refused: Refused) -> None:
    image.write("o.png", image.read("o.png"), metadata={**output, **change})
    words = refused(3, "synthesize", "--from", "o.png", "-o", "p.png")
    assert words.startswith("texsynth: error: --from o.png: ") and words[:-1].isprintable() and len(words) < 600


def test_a_record_without_an_end_is_none(output: dict[str, Any], texsynth: Texsynth, refused: Refused) -> None:
    """Nothing can be repeated by it, --update makes the picture anew, and it is scored without."""
    write_text_chunk(Path("o.png"), '{"a":' * 9999)
    assert "no texsynth record" in refused(3, "synthesize", "--from", "o.png", "-o", "p.png")
    assert texsynth("evaluate", "a.png", "o.png", "--metric", "nn_pixel").code == 0
    assert texsynth("synthesize", "a.png", "-o", "o.png", "--update", *QUICK).code == 0
    assert record_of("o.png") == output


def test_a_usage_error_is_the_record_s_own_only_where_nothing_else_was_asked(
    output: dict[str, Any], refused: Refused
) -> None:
    image.write("o.png", image.read("o.png"), metadata={**output, "crop": "0,0,400,400"})
    assert "its record is damaged (--crop" in refused(3, "synthesize", "--from", "o.png", "-o", "p.png")
    refused(2, "synthesize", "--from", "o.png", "-o", "p.png", "--crop", "0,0,500,500")
    refused(2, "synthesize", "--from", "o.png", "-o", "p.png", "--device", "abacus")


def test_what_a_record_says_is_escaped(output: dict[str, Any], texsynth: Texsynth) -> None:
    output["preset"]["name"] = "\x1b[31m\u202egnp"
    image.write("o.png", image.read("o.png"), metadata=output)
    assert "preset ?[31m?gnp, seed 0" in texsynth("synthesize", "--from", "o.png", "-o", "p.png", "--dry-run").out


def write_text_chunk(path: Path, text: str) -> None:
    """Put a record of this text into a PNG, in place of its own."""
    data = path.read_bytes()
    start = data.index(b"tEXttexsynth") - 4
    end = start + 12 + int.from_bytes(data[start : start + 4], "big")
    body = b"tEXttexsynth\0" + text.encode("latin-1")
    chunk = (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
    path.write_bytes(data[:start] + chunk + data[end:])


@pytest.mark.parametrize(
    "words",
    [
        ("--max-memory", "1" + "0" * 400),
        ("--max-memory", "1e400"),
        ("--threads", 10**30),
        ("--seed", 10**30),
        ("--seed", "1" * 5000),
        ("--size", 10**30),
        ("--size", "9" * 400 + "x"),
        ("--size", "1" * 100_000),
        ("--variations", 10**30),
        ("--crop", "0,0,16," + "9" * 5000),
        ("--map", "n" * 300 + "=a.png"),
        ("--preset", "x" * 300),
        ("--method", "x\x1b" * 50_000),
        ("--progress", "x" * 50_000),
    ],
    ids=lambda words: f"{words[0]} {str(words[1])[:5]}",
)
def test_values_beyond_all_limits(words: tuple[object, ...], exemplar: None, refused: Refused) -> None:
    del exemplar
    line = refused(2, "synthesize", "a.png", "-o", "o.png", *words)
    assert len(line) < 1000 and line[:-1].isprintable()


@pytest.mark.parametrize("weight", ["nan", "inf", "1e400"])
def test_numbers_of_options_are_finite(weight: str, exemplar: None, refused: Refused) -> None:
    del exemplar
    words = ("--orientation", "circle", "--orientation-weight", weight, "-o", "o.png")
    assert "is not a finite number" in refused(2, "control", "a.png", *words)
