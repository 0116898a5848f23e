"""Presets: what they may say, how flags choose and change them, and how every mistake is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conftest import Refused, Texsynth
from texsynth import preset, settings
from texsynth.errors import UsageError

pytestmark = pytest.mark.usefixtures("steady")


def resolved(*sets: str, name: str = "steady") -> object:
    return preset.resolve(preset=name, values=settings.parse(sets)).stages[0].settings


@pytest.mark.parametrize("name", sorted(path.stem for path in preset.folder().glob("*.yaml")))
def test_shipped_presets_are_valid_and_described(name: str) -> None:
    loaded = preset.load(name)
    assert loaded.description and loaded.stages


def test_the_default_is_there_in_every_quality() -> None:
    chosen = {quality: preset.resolve(quality=quality).name for quality in preset.QUALITIES}
    assert chosen == {
        "draft": "guided-correspondence-draft",
        "normal": "guided-correspondence",
        "high": "guided-correspondence-high",
    }
    assert preset.resolve().name == preset.DEFAULT


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("patch=7", "patch", 7),
        ("weight=2", "weight", 2.0),
        ("weight=1e-3", "weight", 0.001),
        ("lattice=on", "lattice", "on"),
        ("lattice=no", "lattice", "off"),
        ("lattice=auto", "lattice", "auto"),
        ("mirrored=true", "mirrored", True),
        ("passes=[3, 4]", "passes", (3, 4)),
        ("passes=3,4", "passes", (3, 4)),
        ("passes=3", "passes", (3,)),
        ("layers=a,c", "layers", ("a", "c")),
        ("steady.patch=7", "patch", 7),
        ("note=a=b", "note", "a=b"),
    ],
)
def test_set_reads_values_of_every_type(text: str, key: str, value: object) -> None:
    got = getattr(resolved(text), key)
    assert (got, type(got)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("patc=7", "did you mean patch?"),
        ("zzz=7", "known are"),
        ("stedy.patch=7", "did you mean steady?"),
        ("steady.patc=7", "did you mean patch?"),
        ("patch", "not key=value"),
        ("=7", "not key=value"),
        ("patch=2", "a whole number from 3 to 31"),
        ("patch=32", "a whole number from 3 to 31"),
        ("patch=7.0", "a whole number"),
        ("patch=true", "a whole number"),
        ("patch=", "a whole number"),
        ("weight=-1", "a number of at least 0"),
        ("weight=true", "a number"),
        ("weight=much", "a number"),
        ("weight=.nan", "a number"),
        ("weight=.inf", "a number"),
        ("mirrored=1", "true or false"),
        ("lattice=maybe", "one of auto, on, off"),
        ("layers=a,d", "a list, each one of a, b, c"),
        ("passes=0", "a list, each a whole number of at least 1"),
        ("passes=[1, x]", "a list"),
        ("passes={a: 1}", "a list"),
        ("patch=[", "no number, word or list"),
    ],
)
def test_set_refuses_and_says_what_is_allowed(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolved(text)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_set_reaches_every_stage_that_has_the_key() -> None:
    chosen = preset.resolve(preset="other", values={"patch": 9})
    assert [stage.settings.patch for stage in chosen.stages] == [9, 9]
    assert [stage.settings.patch for stage in preset.load("other").stages] == [5, 7]


def test_the_resolved_values_build_the_same_preset_again() -> None:
    chosen = preset.resolve(preset="other", values={"passes": [4, 4]})
    plain = json.loads(json.dumps(chosen.values))
    assert preset.build(plain["name"], plain).stages == chosen.stages


def test_a_method_is_short_for_its_preset_and_qualities_follow_it() -> None:
    assert preset.resolve(method="steady").name == "steady"
    assert preset.resolve(method="steady", preset="steady-draft").name == "steady-draft"
    assert preset.resolve(method="steady", quality="draft").name == "steady-draft"


def test_a_file_is_a_preset(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("method: steady\npatch: 11 # wide\nlattice: off\n")
    chosen = preset.resolve(preset=str(mine))
    assert (chosen.name, chosen.stages[0].settings.patch) == ("mine", 11)
    assert chosen.stages[0].settings.lattice == "off"
    assert preset.resolve(method="steady", preset=str(mine)).name == "mine"
    with pytest.raises(UsageError, match="not of --method guided-correspondence"):
        preset.resolve(method="guided-correspondence", preset=str(mine))
    with pytest.raises(UsageError, match="no qualities"):
        preset.resolve(preset=str(mine), quality="draft")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a mapping"),
        ("- a\n- b", "not a mapping"),
        ("method: steady\npatch: 5\npatch: 7", "line 3: 'patch' stands twice"),
        ("method: steady\n  patch: 5", "line 2"),
        ("method: [", "line 1"),
        ("? [a, b]\n: 1", "line 1"),
        ("1: 2", "not a mapping of names"),
        ("patch: 5", "needs either"),
        ("method: steady\nstages: []", "needs either"),
        ("stages: []", "is a list"),
        ("stages: [steady]", "is a list"),
        ("stages: [{patch: 5}]", "is a list"),
        ("stages: [{method: steady}]\npatch: 5", "put it into a stage"),
        ("method: steady\ndescription: [1]", "one line of text"),
        ("method: stedy", "did you mean steady?"),
        ("method: [1]", "there is no method"),
        ("method: steady\npatc: 5", "did you mean patch?"),
        ("method: steady\npatch: many", "a whole number"),
    ],
)
def test_a_broken_file_is_told_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(UsageError) as caught:
        preset.load(str(tmp_path / "mine.yaml"))
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert "mine" in str(caught.value)


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_bytes(b"method: \xff\xfe")
    with pytest.raises(UsageError, match="not UTF-8"):
        preset.load(str(tmp_path / "mine.yaml"))


def test_list(texsynth: Texsynth) -> None:
    ran = texsynth("presets", "list")
    first, _, second = ran.out.partition("\n\n")
    assert [line.split()[0] for line in first.splitlines()] == preset.names()
    assert [line.split()[0] for line in second.splitlines()[1:]] == [f"train/{name}" for name in preset.trained()]
    listed = json.loads(texsynth("presets", "list", "--json").out)
    assert {"name": "steady", "description": "For tests.", "methods": ["steady"]} in listed["presets"]
    assert {"name": "train/easy", "description": "For tests.", "recipe": "easy"} in listed["training"]


@pytest.mark.parametrize("name", sorted(path.stem for path in (preset.folder() / "train").glob("*.yaml")))
def test_presets_of_train_are_valid_and_described(texsynth: Texsynth, name: str) -> None:
    shown = json.loads(texsynth("presets", "show", f"train/{name}", "--json").out)
    assert shown["description"] and name.startswith(shown["recipe"])
    assert {"steps", "checks", "metric"} <= {row["name"] for row in shown["settings"]}


def test_show_tells_values_limits_and_help(texsynth: Texsynth) -> None:
    lines = texsynth("presets", "show", "steady-draft").out.splitlines()
    assert "* passes = 1,1  (a list, each a whole number of at least 1) steps a level" in lines
    assert "  patch = 5  (a whole number from 3 to 31) window side" in lines
    shown = json.loads(texsynth("presets", "show", "steady-draft", "--json").out)
    rows = {row["name"]: row for row in shown["stages"][0]["settings"]}
    assert (rows["passes"]["value"], rows["passes"]["default"]) == ([1, 1], [2, 1])


def test_show_of_nothing(refused: Refused) -> None:
    assert "did you mean steady?" in refused(2, "presets", "show", "stedy")
