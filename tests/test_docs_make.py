"""Every command of these pages of the guide runs as it is written and leaves its files."""

from __future__ import annotations

from pathlib import Path

import pytest

import documents

PAGES = (
    "docs/guide/synthesize.md",
    "docs/guide/maps.md",
    "docs/guide/materials.md",
    "docs/guide/tiles.md",
    "docs/guide/batches.md",
    "docs/guide/presets.md",
    "docs/python.md",
)


@pytest.mark.parametrize("step", documents.steps(*PAGES))
def test_step(step: documents.Step, page_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(page_folder)
    documents.follow(step)
