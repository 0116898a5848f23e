"""Every texsynth command of README.md runs as written and leaves its files; so does the Python example."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from networks import random_vgg
from texsynth.cli import main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("texsynth ")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the README expects it: samples/, photos/ of one's own and weights. Later commands use what earlier
    ones wrote, as they do for a reader."""
    out = tmp_path_factory.mktemp("readme")
    shutil.copytree(ROOT / "samples", out / "samples")
    (out / "photos").mkdir()
    for picture in sorted((ROOT / "samples").glob("*.jpg"))[:2]:
        shutil.copy(picture, out / "photos")
    random_vgg(out / "vgg19.safetensors")
    return out


def expected(words: list[str]) -> Iterator[Path]:
    """The files a command promises, read off its own flags."""
    if "-o" not in words:
        yield from (Path(value) for flag, value in pairwise(words) if flag in ("--csv", "--report"))
        return
    out = Path(words[words.index("-o") + 1])
    count = int(words[words.index("-n") + 1]) if "-n" in words else 1
    if words[words.index("-o") + 1].endswith("/"):
        yield from (out / f"{path.stem}.png" for path in Path(words[2]).iterdir())
        return
    for number in range(1, count + 1):
        yield out if count == 1 else out.with_name(f"{out.stem}-{number}{out.suffix}")
    for flag, value in pairwise(words):
        if flag == "--map":
            yield out.with_name(f"{out.stem}_{value.partition('=')[0]}{out.suffix}")


def test_there_are_commands() -> None:
    assert len(COMMANDS) >= 8
    assert len(blocks("python")) == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_command(
    command: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As written, but that trainings are cut short."""
    monkeypatch.chdir(folder)
    words = shlex.split(command)
    cut = ["--steps", "2", "--set", "checks=1"] if words[1] == "train" and "--steps" not in words else []
    assert main([*words[1:], *cut]) == 0, capsys.readouterr().err
    promised = list(expected(words))
    assert promised
    for path in promised:
        assert path.is_file(), f"{path} is missing"


def test_python_example(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    code = blocks("python")[0]
    exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})
    for name in re.findall(r'write\("(.+?)"', code):
        assert Path(name).is_file()


@pytest.mark.parametrize("target", re.findall(r"\]\((?!http)(.+?)\)", README))
def test_links_and_pictures_are_there(target: str) -> None:
    assert (ROOT / target).is_file()


def test_presets_of_the_table_are_those_that_ship() -> None:
    from texsynth import features, methods, preset

    table = README.partition("| preset | needs weights | for |")[2].partition("\n\n")[0]
    rows = dict(re.findall(r"^\| `(.+?)` \| (yes|) ?\|", table, re.MULTILINE))
    assert sorted(rows) == sorted(preset.names())
    for name, marked in rows.items():
        needs = any(
            features.features(feature).WEIGHTS
            for stage in preset.load(name).stages
            for feature in methods.method(stage.method).needs(stage.settings, None)
        )
        assert needs == (marked == "yes"), name


def test_every_flag_of_the_readme_exists(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # so that no flag is cut
    for words in (
        ["synthesize"],
        ["control"],
        ["inpaint"],
        ["barycenter"],
        ["edit"],
        ["evaluate"],
        ["train"],
        ["propagate"],
        ["guide", "radial"],
        ["guide", "perlin"],
        ["weights", "fetch"],
    ):
        assert main([*words, "--help"]) == 0
    known = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out))
    mentioned = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README))
    assert mentioned <= known
