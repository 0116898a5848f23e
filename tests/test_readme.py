"""Every command of README.md runs as it is written and leaves its files; so does the Python example."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import documents
from documents import Step
from texsynth import features, methods, preset

README = documents.text_of("README.md")


@pytest.mark.parametrize("step", documents.steps("README.md"))
def test_step(step: Step, page_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(page_folder)
    documents.follow(step)


def test_the_readme_has_at_most_8_kb() -> None:
    assert len(README.encode()) <= 8000


def test_the_readme_has_a_command_for_every_verb() -> None:
    shown = {step.values[0].text.split()[1] for step in documents.steps("README.md")}
    verbs = {
        "synthesize",
        "control",
        "inpaint",
        "barycenter",
        "edit",
        "propagate",
        "capture",
        "train",
        "evaluate",
        "guide",
    }
    assert verbs <= shown


def test_presets_of_the_table_need_weights_where_it_says_so() -> None:
    table = README.partition("| preset | needs weights | use it for |")[2].partition("\n\n")[0]
    rows = dict(re.findall(r"^\| `(.+?)` \| (yes|) ?\|", table, re.MULTILINE))
    assert len(rows) == 4
    for name, marked in rows.items():
        needs = any(
            features.features(feature).WEIGHTS
            for stage in preset.load(name).stages
            for feature in methods.method(stage.method).needs(stage.settings, None)
        )
        assert needs == (marked == "yes"), name
