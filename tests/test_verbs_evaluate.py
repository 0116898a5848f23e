"""Evaluation below the command line: what is paired, chosen, handed to metrics and summed up; and the Python API."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import texsynth
from asking import asked
from networks import random_vgg
from pictures import bytes_of, noise, spots, white
from texsynth import metrics
from texsynth.errors import InputError, UsageError, WeightsError
from texsynth.features import Extract, vgg19
from texsynth.image import picture as image
from texsynth.metrics import About, NotApplicable, Pair
from texsynth.report import scores
from texsynth.report.scores import Evaluation, Row
from texsynth.runs.run import silent
from texsynth.verbs import evaluate as verb
from texsynth.verbs import pairing
from texsynth.verbs.pairing import Group
from texsynth.weights import pretrained
from texsynth.weights.pretrained import Fetching

Touch = Callable[..., None]


@pytest.fixture
def touch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Touch:
    """Make empty files; pairing looks at names only."""
    monkeypatch.chdir(tmp_path)

    def make(*names: str) -> None:
        for name in names:
            Path(name).parent.mkdir(exist_ok=True)
            Path(name).touch()

    return make


def scored(groups: Sequence[Group], **values: Any) -> Evaluation:
    return verb.evaluate(asked("evaluate", exemplar="", outputs=[], **values), groups, Fetching(silent))


def names(groups: tuple[Group, ...]) -> list[tuple[str, list[str]]]:
    return [(str(group.exemplar), [str(output) for output in group.outputs]) for group in groups]


class Fake:
    """A metric that notes what it is shown. `found` gives its value, or is raised."""

    about = About("for tests")

    def __init__(self, found: Callable[[Pair], float]) -> None:
        self.found = found
        self.pairs: list[Pair] = []
        self.draws: list[float] = []

    def measure(self, pair: Pair, extract: Extract | None, rng: torch.Generator) -> float:  # noqa: ARG002
        self.pairs.append(pair)
        self.draws.append(float(torch.rand(1, generator=rng)))
        return self.found(pair)


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Replace the registry of metrics."""

    def replace(**fakes: Fake) -> None:
        monkeypatch.setattr(metrics, "names", lambda: sorted(fakes))
        monkeypatch.setattr(metrics, "metric", fakes.__getitem__)

    return replace


def grey(value: int, size: int = 16) -> np.ndarray:
    return np.full((size, size, 3), value, np.uint8)


# ---- pairing ----


def test_a_stem_goes_before_the_number_of_a_variation(touch: Touch) -> None:
    touch("in/a.png", "in/a-1.jpg", "out/a-1.png", "out/a-2.png", "out/a-1-3.png", "out/a_height.png", "out/b.png")
    groups, notices = pairing.arrange("in", ["out"])
    assert names(groups) == [("in/a-1.jpg", ["out/a-1-3.png", "out/a-1.png"]), ("in/a.png", ["out/a-2.png"])]
    assert notices == ("no exemplar has the stem of out/a_height.png, out/b.png",)


def test_outputs_of_different_folders_are_no_variations_of_each_other(touch: Touch) -> None:
    touch("in/a.png", "one/a-1.png", "one/a-2.png", "two/a.png")
    wanted = [("in/a.png", ["one/a-1.png", "one/a-2.png"]), ("in/a.png", ["two/a.png"])]
    assert names(pairing.arrange("in", ["one", "two"])[0]) == wanted
    assert names(pairing.arrange("in/a.png", ["one", "two/a.png"])[0]) == wanted


def test_an_exemplar_is_no_output_of_itself_unless_it_is_named(touch: Touch) -> None:
    touch("in/a.png", "in/b.png")
    assert names(pairing.arrange("in/a.png", ["in"])[0]) == [("in/a.png", ["in/b.png"])]
    assert names(pairing.arrange("in/a.png", ["in/a.png"])[0]) == [("in/a.png", ["in/a.png"])]
    with pytest.raises(InputError, match="no output has the stem"):
        pairing.arrange("in", ["in"])


def test_long_lists_stay_on_a_line(touch: Touch) -> None:
    touch("in/a.png", "out/a.png", *(f"out/x{n}.png" for n in range(9)))
    assert pairing.arrange("in", ["out"])[1][0].endswith("out/x4.png and 4 more")


def test_no_outputs_are_a_mistake() -> None:
    with pytest.raises(UsageError, match="at least one output"):
        pairing.arrange("a.png", [])


# ---- what metrics are shown ----


def test_metrics_see_the_pair_and_the_other_outputs(only: Callable[..., None]) -> None:
    fake = Fake(lambda pair: float(pair.output.mean()))
    only(fake=fake)
    outputs = (grey(51), grey(102, 24), grey(153))
    found = scored([Group(grey(0), outputs)], tile="x")
    assert [row.scores["fake"] for row in found.rows] == pytest.approx([0.2, 0.4, 0.6])
    others = [[round(float(other.mean()), 1) for other in pair.others] for pair in fake.pairs]
    assert others == [[0.4, 0.6], [0.2, 0.6], [0.2, 0.4]]
    assert all(pair.exemplar.shape == (1, 3, 16, 16) and not pair.exemplar.any() for pair in fake.pairs)
    assert {pair.tile for pair in fake.pairs} == {(False, True)}
    assert fake.pairs[1].output.shape == (1, 3, 24, 24)
    assert found.mean["fake"] == pytest.approx(0.4)


def test_chance_is_the_same_for_every_metric_and_output(only: Callable[..., None]) -> None:
    fakes = {name: Fake(lambda _: 0.0) for name in "ab"}
    only(**fakes)
    scored([Group(grey(0), (grey(1), grey(2)))], seed=5)
    drawn = {draw for fake in fakes.values() for draw in fake.draws}
    assert drawn == {float(torch.rand(1, generator=torch.Generator().manual_seed(5)))}


def test_hidden_colours_and_kinds_of_picture_make_no_difference(only: Callable[..., None]) -> None:
    """Grey and colour, 8 and 16 bits and floats beyond 1 are brought to one range."""
    fake = Fake(lambda pair: float((pair.exemplar - pair.output).abs().max()))
    only(fake=fake)
    deep = (grey(51)[..., 0].astype(np.uint16)) * 257
    clear = np.dstack([grey(200), np.zeros((16, 16), np.uint8)])
    found = scored([Group(grey(51), (deep, clear))])
    assert [row.scores["fake"] for row in found.rows] == pytest.approx([0, 0.3], abs=1e-6)
    bright = np.full((16, 16, 3), 4, np.float32)
    found = scored([Group(bright / 2, (bright,))])
    assert found.rows[0].scores["fake"] == pytest.approx(0.5)


def test_guides_have_the_sizes_of_the_pictures(only: Callable[..., None]) -> None:
    fake = Fake(lambda pair: float(len(pair.guides)))
    only(fake=fake)
    ramp = np.linspace(0, 255, 256).astype(np.uint8).reshape(16, 16)
    exemplar, halves = bytes_of(spots(16, 16)), white((16, 16), np.s_[8:])
    steer = asked("control", exemplar, progression=([ramp], ramp), orientation="circle", labels=([halves], halves))
    found = scored([Group(exemplar, (grey(1, 24), grey(2, 40), grey(9, 5)), steer)])
    assert [row.scores["fake"] for row in found.rows] == [3, 3, 0], "none is laid out for a few pixels"
    for pair, side in zip(fake.pairs, (24, 40), strict=False):
        assert [guide.name for guide in pair.guides] == ["progression", "orientation", "labels"]
        for guide in pair.guides:
            assert guide.sources[0].shape[2:] == (16, 16) and guide.target.shape[2:] == (side, side)


# ---- scores that are missing ----


def fails_on(value: int) -> Fake:
    def found(pair: Pair) -> float:
        if round(float(pair.output.mean()) * 255) == value:
            raise NotApplicable("picky: not this one; use another")
        return 1.0

    return Fake(found)


def test_a_metric_that_scores_some_outputs_is_told_of(only: Callable[..., None]) -> None:
    only(picky=fails_on(1), other=Fake(lambda _: 0.0))
    found = scored([Group(grey(0), (grey(1), grey(2)))], metrics=["picky", "other"])
    assert found.notices == ("picky: no score for 1 of 2 outputs, first array: not this one; use another",)
    assert [dict(row.scores) for row in found.rows] == [{"other": 0.0}, {"picky": 1.0, "other": 0.0}]
    assert scores.as_json(found)["results"][0]["scores"] == {"picky": None, "other": 0.0}
    assert scores.lines(found)[0].values == (None, 0.0)
    assert found.mean["picky"] == 1


def test_a_metric_that_scores_none_is_left_out_or_refused_where_it_was_named(only: Callable[..., None]) -> None:
    only(picky=fails_on(1), other=Fake(lambda _: 0.0))
    groups = (Group(grey(0), (grey(1),)),)
    found = scored(groups)
    assert (found.names, found.left_out) == (("other",), {"picky": "not this one; use another"})
    with pytest.raises(InputError, match=r"^array: picky: not this one; use another$"):
        scored(groups, metrics=["all", "picky"])


def test_a_fault_in_a_metric_is_no_silence(only: Callable[..., None]) -> None:
    def broken(_: Pair) -> float:
        raise ZeroDivisionError

    only(broken=Fake(broken))
    with pytest.raises(ZeroDivisionError):
        scored([Group(grey(0), (grey(1),))])


# ---- lines ----


def evaluation(*values: tuple[str, str, float]) -> Evaluation:
    """Rows of (exemplar, folder, the value of nn_pixel and of copy_rate)."""
    rows = tuple(
        Row(exemplar, f"{folder}/{n}.png", folder, "none", {"nn_pixel": value, "copy_rate": value})
        for n, (exemplar, folder, value) in enumerate(values)
    )
    return Evaluation(("nn_pixel", "copy_rate"), rows, {}, {}, 0, "cpu")


def test_the_best_is_found_within_an_exemplar_and_among_means() -> None:
    found = scores.lines(evaluation(("a", "x", 3.0), ("a", "y", 1.0), ("b", "x", 1.0), ("b", "y", 5.0)))
    assert [line.best[0] for line in found] == [False, True, True, False, True, False]
    assert not any(line.best[1] for line in found), "neither end of copy_rate is better"
    assert [(line.exemplar, line.output, line.values[0]) for line in found[4:]] == [("mean", "x", 2), ("mean", "y", 3)]


def test_equal_scores_have_no_best_but_a_tie_has_two() -> None:
    assert not any(any(line.best) for line in scores.lines(evaluation(("a", "x", 1.0), ("a", "x", 1.0))))
    tied = scores.lines(evaluation(("a", "x", 1.0), ("a", "x", 1.0), ("a", "x", 2.0)))
    assert [line.best[0] for line in tied] == [True, True, False]
    assert [line.exemplar for line in tied] == ["a"] * 3, "one exemplar needs no mean"


def test_one_folder_has_one_mean() -> None:
    mean = scores.lines(evaluation(("a", "x", 1.0), ("b", "x", 2.0)))[-1]
    assert (mean.exemplar, mean.output, mean.values, mean.best) == ("mean", "", (1.5, 1.5), (False, False))


# ---- weights ----


def test_a_metric_that_looks_through_a_network_gets_no_more_than_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted: list[dict[str, Any]] = []
    load = pretrained.load
    monkeypatch.setattr(pretrained, "load", lambda keys, *rest: wanted.append(dict(keys)) or load(keys, *rest))
    file = random_vgg(tmp_path / "vgg19.safetensors", ("relu1_2",))
    monkeypatch.setenv("TEXSYNTH_WEIGHTS", str(tmp_path))
    exemplar, output = bytes_of(spots(24, 24)), bytes_of(spots(24, 32, seed=1))
    found = scored([Group(exemplar, (output,))], metrics=["nn_conv1"])
    assert wanted == [{"vgg19": vgg19.keys(["relu1_1"])}]
    assert found.weights["vgg19"].name == file.name
    with pytest.raises(WeightsError, match=r"lacks relu"):
        scored([Group(exemplar, (output,))], metrics=["gram_distance"])


# ---- Python ----


def test_the_api_speaks_the_same_words(tmp_path: Path) -> None:
    exemplar, output = bytes_of(spots(24, 24)), bytes_of(noise(1, 3, 24, 24))
    for name, values in {"a.png": exemplar, "out/a-1.png": output, "out/a-2.png": exemplar}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        image.write(tmp_path / name, image.from_array(values))
    arrays = texsynth.evaluate(exemplar, [output, exemplar], "nn_pixel", device="cpu")
    files = texsynth.evaluate(tmp_path / "a.png", str(tmp_path / "out"), ["nn_pixel"], device="cpu", seed=3)
    assert [row.scores for row in arrays.rows] == [row.scores for row in files.rows]
    assert arrays.rows[1].scores["nn_pixel"] == 0 < arrays.rows[0].scores["nn_pixel"]
    assert files.rows[0].output == str(tmp_path / "out/a-1.png")
    field = np.stack([np.ones((24, 24), np.float32), np.zeros((24, 24), np.float32)])
    ramp = np.linspace(0, 255, 24 * 24).astype(np.uint8).reshape(24, 24)
    flat = np.where(ramp > 128, 255, 0).astype(np.uint8)
    words: dict[str, Any] = {"progression": (ramp, ramp), "labels": (flat, flat), "device": "cpu", "threads": 1}
    words |= {"orientation": field, "source_orientation": field}
    guided = texsynth.evaluate(exemplar, exemplar, ["progression", "orientation", "labels"], **words)
    assert guided.mean["progression"] < 0.05 and guided.mean["labels"] > 0.9
    with pytest.raises(UsageError, match="needs --orientation"):
        texsynth.evaluate(exemplar, exemplar, source_orientation=field, device="cpu")
