"""Objectives in presets: read, refused, changed by --set, shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import Texsynth
from texsynth import preset, settings
from texsynth.errors import UsageError
from texsynth.objective import Objective

GRAM = {"loss": "gram", "features": "windows", "layers": ["full", "half"]}
TRANSPORT = {"loss": "semidual", "features": "windows", "layers": ["full"], "patch": 3}


def stage(*objectives: Any, **values: Any) -> dict[str, Any]:
    return {"description": "", "stages": [{"method": "optimise", "objectives": list(objectives), **values}]}


def built(*objectives: Any, **sets: Any) -> tuple[Objective, ...]:
    return preset.build("p", stage(*objectives), sets).stages[0].settings.objectives


def test_flat_form_and_back() -> None:
    read = Objective.read({**TRANSPORT, "reduction": "gaussian", "weight": 2}, "p")
    assert (read.loss, read.layers, read.weight) == ("semidual", ("full",), 2.0)
    assert (read.loss_settings.patch, read.features_settings.reduction) == (3, "gaussian")
    assert Objective.read(read.plain(), "p") == read


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"loss": "grams"}, "did you mean gram?"),
        ({"features": "vgg"}, "did you mean vgg19?"),
        ({"layers": ["relu1_1"]}, "windows has no layer 'relu1_1'"),
        ({"layers": []}, "names no layers"),
        ({"weight": 0}, "a number above 0"),
        ({"weight": "much"}, "a number above 0"),
        ({"pach": 3}, "did you mean patch?"),
        ({"patch": 0}, "patch = 0"),
        ({"reduction": "none"}, "one of box, gaussian"),
    ],
)
def test_what_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words.replace("?", r"\?")):
        Objective.read(GRAM | change, "p")


@pytest.mark.parametrize("objectives", [[], "gram", ["gram"]])
def test_a_list_of_mappings_is_needed(objectives: Any) -> None:
    with pytest.raises(UsageError, match="mapping"):
        preset.build("p", {"description": "", "stages": [{"method": "optimise", "objectives": objectives}]})


def test_set_reaches_the_objectives_that_have_the_key() -> None:
    both = built(GRAM, TRANSPORT, ascents=3, patch=5)
    assert both[1].loss_settings.ascents == 3
    assert [o.loss_settings.patch for o in both] == [5, 5]
    one = built(GRAM, TRANSPORT, **{"gram.patch": 2, "semidual.layers": "half,quarter"})
    assert [o.loss_settings.patch for o in one] == [2, 3]
    assert [o.layers for o in one] == [("full", "half"), ("half", "quarter")]


def test_set_changes_default_objectives_too() -> None:
    plain = {"description": "", "stages": [{"method": "optimise"}]}
    assert preset.build("p", plain, {"ascents": 3}).stages[0].settings.objectives[0].loss_settings.ascents == 3


@pytest.mark.parametrize(("key", "words"), [("gramm.patch", "did you mean gram"), ("gram.ascents", "unknown setting")])
def test_set_of_nothing(key: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        built(GRAM, **{key: 1})


def test_the_recorded_form_builds_the_same_preset() -> None:
    first = preset.build("p", stage(GRAM, TRANSPORT), {"patch": 2})
    again = preset.build("p", first.values)
    assert again.stages == first.stages
    assert again.values == first.values


def test_show_tells_the_settings_of_each_objective(texsynth: Texsynth, tmp_path: Path) -> None:
    Path(tmp_path / "p.yaml").write_text(
        "method: optimise\nobjectives:\n- {loss: semidual, features: windows, layers: [half], patch: 3}\n"
    )
    shown = texsynth("presets", "show", "p.yaml")
    assert shown.code == 0
    assert "* patch = 3" in shown.out
    assert "  reduction = box  (one of box, gaussian)" in shown.out
    assert "layers = half" in shown.out
    assert '"patch"' in texsynth("presets", "show", "p.yaml", "--json").out


def test_a_broken_objective_is_one_line(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("method: optimise\nobjectives:\n- {loss: gram, features: windows, layers: [x]}\n")
    assert "windows has no layer 'x'" in refused(2, "presets", "show", "p.yaml")


def test_settings_show_has_plain_values() -> None:
    rows = {row["name"]: row for row in settings.show(preset.build("p", stage(GRAM)).stages[0].settings)}
    assert rows["objectives"]["value"][0]["loss"] == "gram"
    assert rows["steps"]["allowed"] == "a list, each a whole number from 0 to 100000"
