"""Nothing is fetched by a dry run, by a record, or in silence."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest

import texsynth as api
from conftest import Draw, Refused, Texsynth
from shelf import SIZE, Shelf
from texsynth.errors import WeightsError
from texsynth.image import picture as image

pytestmark = pytest.mark.usefixtures("exemplar")
GRAM = ("synthesize", "a.png", "-p", "gram", "-o", "o.png")
PLANS = {
    "synthesize": GRAM,
    "propagate": ("propagate", "a.png", "layer.png", "a.png", "--features", "vgg19", "-o", "o.png"),
    "train": ("train", "pseudo-optimizer", "big.png", "-o", "m.safetensors"),
}


@pytest.fixture
def layer(draw: Draw) -> None:
    """layer.png and big.png, for the commands of PLANS."""
    draw("layer.png", np.full((16, 16, 4), 200, np.uint8))
    draw("big.png", np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))


@pytest.mark.parametrize("words", PLANS.values(), ids=PLANS)
def test_a_dry_run_says_what_would_be_fetched(
    words: tuple[str, ...], layer: None, shelf: Shelf, texsynth: Texsynth
) -> None:
    del layer
    ran = texsynth(*words, "--dry-run", "-q")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.endswith(f"; it first fetches vgg19 weights ({SIZE}) from {shelf.url}\n")
    document = json.loads(texsynth(*words, "--dry-run", "--json").out)
    entry = document if words[0] == "train" else document["runs"][0]
    assert [(each["name"], each["url"]) for each in entry["fetches"]] == [("vgg19", shelf.url)]
    assert shelf.asked == [] and not Path("o.png").exists()


def test_quiet_does_not_hide_a_download(shelf: Shelf, texsynth: Texsynth) -> None:
    ran = texsynth(*GRAM, "-q")  # what is fetched lacks most layers
    assert (ran.code, len(shelf.asked)) == (5, 1)
    assert ran.err.startswith(f"texsynth: fetching vgg19 weights ({SIZE}) from {shelf.url}\n")


def test_a_record_fetches_nothing_unasked(shelf: Shelf, texsynth: Texsynth, refused: Refused) -> None:
    record = json.loads(texsynth(*GRAM, "--dry-run", "--json").out)["runs"][0]["record"]
    image.write("o.png", image.read("a.png"), metadata=record)
    again = ("synthesize", "--from", "o.png", "-o", "p.png")
    assert "`texsynth weights fetch vgg19`, or --weights FILE" in refused(5, *again)
    assert "it first fetches vgg19" in texsynth(*again, "--dry-run").out
    assert shelf.asked == []
    assert texsynth(*again, "-p", "gram").code == 5 and len(shelf.asked) == 1


def test_a_program_is_told(shelf: Shelf, texsynth: Texsynth, caplog: pytest.LogCaptureFixture) -> None:
    del texsynth  # for its folder
    with caplog.at_level(logging.WARNING, "texsynth"), pytest.raises(WeightsError):
        api.evaluate("a.png", "a.png", "gram_distance")
    assert f"fetching vgg19 weights ({SIZE}) from {shelf.url}" in caplog.text
