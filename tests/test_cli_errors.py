"""Every mistake is one line on stderr, nothing on stdout, and the right exit code."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from conftest import Picture, Refused, Texsynth
from texsynth.runs import cost
from texsynth.verbs import parse

pytestmark = pytest.mark.usefixtures("exemplar")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("synthesize",), "needs an input picture, or --from"),
        (("synthesise",), "synthesize"),
        (("--sede",), "no such option: --sede"),
        (("synthesize", "a.png", "--sede", "3"), "no such option: --sede; did you mean --seed?"),
        (("synthesize", "a.png", "--zzz"), "no such option: --zzz"),
        (("synthesize", "a.png", "--seed", "x"), "--seed"),
        (("synthesize", "a.png", "--seed", "-1"), "--seed"),
        (("synthesize", "a.png", "--seed", str(2**63)), "--seed"),
        (("synthesize", "a.png", "--seed"), "--seed"),
        (("synthesize", "a.png", "-n", "0"), "--variations"),
        (("synthesize", "a.png", "--pick", "worst"), "--pick 'worst' is not one of best"),
        (("synthesize", "a.png", "--progress", "loud"), "auto, none, jsonl"),
        (("synthesize", "a.png", "--threads", "0"), "--threads"),
        (("synthesize", "a.png", "--tile", "z"), "none, x, y, xy"),
        (("synthesize", "a.png", "--max-memory", "lots"), "4G"),
        (("synthesize", "a.png", "--max-memory", "0"), "4G"),
        (("synthesize", "a.png", "--device", "tpu"), "cuda:N"),
        (("synthesize", "a.png", "--quality", "best"), "draft, normal, high"),
        (("synthesize", "a.png", "-p", "steady", "--quality", "high"), "has only draft, normal"),
        (("synthesize", "a.png", "-p", "stedy"), "did you mean steady?"),
        (("synthesize", "a.png", "-m", "stedy"), "did you mean steady?"),
        (("synthesize", "a.png", "-p", "nowhere.yaml"), "does not exist"),
        (("synthesize", "a.png", "-m", "steady", "-p", "other"), "give one of the two"),
        (("synthesize", "a.png", "-p", "steady", "--set", "patc=3"), "did you mean patch?"),
        (("synthesize", "a.png", "--weights", "w.pth"), "--weights: preset guided-correspondence needs none"),
        (("synthesize", "a.png", "-p", "steady", "--model", "m.pth"), "--model: preset steady uses none"),
        (("synthesize", "a.png", "-o", "o.gif"), ".png"),
        (("synthesize", "a.png", "-o", "o"), ".png"),
        (("synthesize", "a.png", "-o", "none/o.png"), "no folder"),
        (("synthesize", "a.png", "-o", "o.webp", "-s", "20000x8"), "at most 16383"),
        (("presets", "shw"), "show"),
    ],
)
def test_usage(refused: Refused, words: tuple[str, ...], said: str) -> None:
    assert said in refused(2, *words) and [path.name for path in Path().iterdir()] == ["a.png"]


@pytest.mark.parametrize("flag", ["exemplar", "--map", "--source-mask", "--init", "--from"])
@pytest.mark.parametrize("kind", ["missing", "damaged", "text"])
def test_inputs(refused: Refused, picture: Picture, flag: str, kind: str) -> None:
    picture("a.png", (64, 64))
    content = {"damaged": Path("a.png").read_bytes()[:200], "text": b"no picture"}
    if kind in content:
        Path("bad.png").write_bytes(content[kind])
    words = {"exemplar": ("bad.png",), "--map": ("a.png", "--map", "m=bad.png")}.get(flag, ("a.png", flag, "bad.png"))
    assert "bad.png" in refused(3, "synthesize", *words, "-o", "o.png")
    assert not Path("o.png").exists()


@pytest.mark.parametrize("size", [(1, 1), (7, 64), (64, 7)])
def test_an_exemplar_that_is_too_small(refused: Refused, picture: Picture, size: tuple[int, int]) -> None:
    picture("a.png", size)
    assert "8x8" in refused(3, "synthesize", "a.png", "-o", "o.png")


def test_a_long_thin_exemplar_works(texsynth: Texsynth, picture: Picture) -> None:
    picture("a.png", (9, 400))
    assert texsynth("synthesize", "a.png", "-o", "o.png", "-s", "32x16", "--quality", "draft").code == 0


def test_too_little_memory_names_a_size_that_fits(refused: Refused, texsynth: Texsynth) -> None:
    limit = str(cost.PROCESS + cost.LIBRARIES + (101 << 20))
    words = ("synthesize", "a.png", "-o", "o.png", "--max-memory", limit, "-p", "steady")
    line = refused(4, *words, "-s", "400x200")
    size = line.split("--size ")[1].split()[0]
    width, height = map(int, size.split("x"))
    assert width == pytest.approx(2 * height, abs=2) and 28 <= width <= 50
    assert texsynth(*words, "-s", size, "-q").code == 0
    assert "raise --max-memory or --crop" in refused(4, "synthesize", "a.png", "-p", "steady", "--max-memory", "90M")
    refused(4, "synthesize", "a.png", "-o", "p.png", "-s", "99999999x99999999", "-p", "steady")


def test_a_device_that_is_not_there(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parse, "available", lambda: ["cpu", "cuda:0"])
    for name in ("mps", "cuda:1"):
        line = refused(4, "synthesize", "a.png", "-o", "o.png", "--device", name)
        assert f"--device {name}: this machine has no such device; it has cpu, cuda:0" in line


def test_auto_takes_the_fastest_device(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse.device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert parse.available()[-2:] == ["cuda:1", "cuda:0"]
    assert parse.device("auto") == parse.device("cuda") == torch.device("cuda:0")


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ("memory", 4, "out of memory"),
        ("torch", 4, "out of memory"),
        ("crash", 1, "RuntimeError: a first line and a second (unexpected; --debug shows where)"),
    ],
)
def test_failures_while_running(refused: Refused, how: str, code: int, said: str) -> None:
    assert said in refused(code, "synthesize", "a.png", "-o", "o.png", "-p", "steady", "--set", f"fail={how}", "-q")
    assert not Path("o.png").exists()


def test_debug_shows_where(texsynth: Texsynth) -> None:
    words = ("synthesize", "a.png", "-o", "o.png", "-p", "steady", "-q", "--debug")
    ran = texsynth(*words, "--set", "fail=crash")
    assert "Traceback" in ran.err and "steady.py" in ran.err
    assert ran.err.splitlines()[-1].startswith("texsynth: error: RuntimeError")
    assert "Traceback" in texsynth(*words[:-1], "--debug", "-s", "1").err


def test_threads_are_set(texsynth: Texsynth) -> None:
    before = torch.get_num_threads()
    try:
        texsynth("synthesize", "a.png", "-o", "o.png", "-p", "steady", "--threads", 2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_version(texsynth: Texsynth) -> None:
    project = (Path(__file__).parent.parent / "pyproject.toml").read_text()
    version = texsynth("--version").out.split()
    assert version[0] == "texsynth" and f'version = "{version[1]}"' in project


def test_help_leads_with_groups_and_ends_with_examples(texsynth: Texsynth) -> None:
    ran = texsynth("synthesize", "--help")
    assert ran.code == 0
    for panel in ("Input", "Output", "Texture", "Preset", "Machine", "Messages"):
        assert f"─ {panel} ─" in ran.out
    assert ran.out.split("Examples:")[1].count("texsynth synthesize") == 3
    assert texsynth().out == texsynth("--help").out
    for words in (("presets",), ("presets", "--help"), ("presets", "show", "-h"), ("doctor", "--help")):
        ran = texsynth(*words)
        assert (ran.code, ran.err) == (0, "") and "Usage" in ran.out


def test_every_common_option_is_in_the_contract(texsynth: Texsynth) -> None:
    """The flags of design.md, by their names."""
    wanted = """-o --output -s --size -m --method -p --preset --set --quality --seed -n --variations
    --pick --tile --map --source-mask --crop --init --model --weights --device --threads --max-memory
    --from --dry-run --force --skip-existing --update --keep-going --json --progress -q -v --debug --report
    --no-metadata --flatten --save-field"""
    words = set(texsynth("synthesize", "--help").out.replace("│", " ").replace("/", " ").split())
    assert set(wanted.split()) <= words


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("texsynth synthesize a.png --tile ", "xy"),
        ("texsynth synthesize a.png --quality d", "draft"),
        ("texsynth synthesize a.png --preset guided-correspondence-d", "guided-correspondence-draft"),
        ("texsynth presets show guided-correspondence-h", "guided-correspondence-high"),
        ("texsynth synth", "synthesize"),
    ],
)
def test_completion(
    texsynth: Texsynth, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str, offered: str
) -> None:
    monkeypatch.setenv("_TEXSYNTH_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
    with pytest.raises(SystemExit) as left:
        texsynth()
    assert left.value.code == 0 and offered in capsys.readouterr().out.split()
