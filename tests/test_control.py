"""`texsynth.control` and what its job holds: the guides that a method gets."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import texsynth as api
from asking import job_of
from conftest import Texsynth
from texsynth import methods
from texsynth.errors import InputError, UsageError
from texsynth.guidance import labels, orientation, progression
from texsynth.image import picture as image
from texsynth.job import Job
from texsynth.report import guides as drawings
from texsynth.requests import control as requests
from texsynth.requests.option import options
from texsynth.task import Guide, Task

Array = np.ndarray
RED, GREEN, BLUE = (255, 0, 0), (0, 128, 0), (0, 0, 255)


def noise(seed: int = 0, height: int = 16, width: int = 20, channels: int = 3) -> Array:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def plain(colour: tuple[int, int, int], side: int = 16) -> Array:
    return np.full((side, side, 3), colour, np.uint8)


def halves(side: int = 16) -> Array:
    return np.concatenate([plain(RED, side)[:, : side // 2], plain(BLUE, side)[:, side // 2 :]], 1)


def build(*exemplars: Array, **words: Any) -> Job:
    named = exemplars or (() if "label_exemplars" in words else (noise(),))
    return job_of("control", *named, **words)


def only(job: Job) -> Guide:
    (guide,) = job.task.guides
    return guide


def test_the_default_size_is_that_of_the_first_target() -> None:
    grey, wide = noise(1, channels=1), noise(2, 24, 30, 1)
    assert build(progression=((grey,), wide)).task.size == (24, 30)
    assert build(progression=((grey,), wide), labels=((halves(),), halves(40))).task.size == (24, 30)
    assert build(orientation="circle", labels=((halves(),), halves(40))).task.size == (40, 40)
    assert build(orientation=np.ones((2, 9, 12))).task.size == (9, 12)
    assert build(orientation="circle").task.size == (32, 40)
    assert build(labels=((halves(),), halves(40)), size="0.5x").task.size == (20, 20)


def test_defaults_by_kind() -> None:
    """Weight and distance of each guide, one source each of the exemplar's size, a target of the output's."""
    job = build(progression=((noise(1),), noise(2)), orientation="spiral", labels=((halves(),), halves()))
    found = {g.name: (g.weight, g.distance) for g in job.task.guides}
    assert found == {"progression": (10, "l2"), "orientation": (5, "direction"), "labels": (10, "l0")}
    for guide in job.task.guides:
        assert [tuple(s.shape[2:]) for s in guide.sources] == [(16, 20)]
        assert tuple(guide.target.shape[2:]) == job.task.size
        assert guide.sources[0].shape[1] == guide.target.shape[1] and guide.strength is None


def test_orientation_is_extracted_or_read_and_built_in_or_read() -> None:
    exemplar = noise()
    guide = only(build(exemplar, orientation="s-curve"))
    pixels = image.from_array(exemplar).pixels
    assert torch.equal(guide.sources[0], orientation.structure(pixels)[0])
    assert torch.equal(guide.target, orientation.built_in("s-curve", (32, 40)))
    guide = only(build(exemplar, orientation="s-curve", orientation_extractor="histogram"))
    assert torch.equal(guide.sources[0], orientation.histogram(pixels))
    field = np.stack([np.full((8, 10), 3.0), np.full((8, 10), -3.0)])
    guide = only(build(exemplar, orientation=field, source_orientation=(-field,)))
    for values, size in ((guide.sources[0], (16, 20)), (guide.target, (8, 10))):
        assert values.shape[2:] == size
        assert torch.allclose(values[:, 0] * values[:, 1], torch.tensor(-0.5))  # up and to the right


def test_signs_of_a_stretched_field_do_not_cancel() -> None:
    """Neighbours that point opposite ways are one direction."""
    field = np.zeros((2, 8, 8))
    field[1] = np.where(np.arange(8) % 2, 1, -1)
    guide = only(build(orientation=field, size=24))
    assert (guide.target[:, 1].abs() > 0.999).all()


def test_directions_follow_the_crop() -> None:
    field = np.zeros((2, 16, 20))
    field[0, :, :10], field[1, :, 10:] = 1, 1
    guide = only(build(orientation="circle", source_orientation=(field,), crop="10,0,10,16"))
    assert guide.sources[0].shape == (1, 2, 16, 10) and (guide.sources[0][:, 1].abs() > 0.999).all()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_progression_has_one_channel_unless_it_is_colourful(channels: int) -> None:
    source, target = noise(1, channels=channels), noise(2, channels=1)
    guide = only(build(progression=((source,), target)))
    assert guide.target.shape[1] == (3 if channels > 2 else 1)
    nearly = np.minimum(source[..., :1], 250) + np.arange(0, 6, 2, dtype=np.uint8)
    assert only(build(progression=((nearly,), target))).target.shape[1] == 1  # what JPEG makes of grey


def test_floats_beyond_one_are_scaled_together() -> None:
    source, target = (np.linspace(a, b, 320, dtype=np.float32).reshape(16, 20) for a, b in ((-2, 6), (0, 4)))
    guide = only(build(progression=((source,), target)))
    assert (float(guide.sources[0].min()), float(guide.sources[0].max())) == (0, 1)
    assert (float(guide.target.min()), float(guide.target.max())) == (0.25, 0.75)


def test_the_tools_of_progressions_are_applied() -> None:
    source, target = noise(1, channels=1) // 2, noise(2, channels=1)
    s, t = (image.from_array(a).pixels for a in (source, target))
    rng = torch.Generator().manual_seed(7)
    wanted = {
        "reverse": 1 - t,
        "distance_transform": progression.distance_transform(t),
        "match_range": progression.stretch(t, s),
        "match_histogram": progression.match_histogram(t, s),
        "refine": progression.refine(t, s, rng),
    }
    for name, values in wanted.items():
        job = build(progression=((source,), target), seed=7, **{name: True})
        assert torch.equal(only(job).target, values), name


def test_pixels_that_may_not_be_copied_have_no_say_in_the_range() -> None:
    source = np.concatenate([np.full((16, 10), 20, np.uint8), np.full((16, 10), 220, np.uint8)], 1)
    source[0, 0] = 40
    mask = np.concatenate([np.full((16, 10), 255, np.uint8), np.zeros((16, 10), np.uint8)], 1)
    target = np.full((16, 16), 200, np.uint8)
    job = build(progression=((source,), target), source_mask=(mask,))
    assert any("100 % of its pixels are outside" in line for line in job.notices)
    assert not any("outside" in line for line in build(progression=((source,), target)).notices)
    bands = np.concatenate([plain(RED)[:, :5], plain(GREEN)[:, :5], plain(BLUE)[:, :10]], 1)
    with pytest.raises(InputError, match="label #0000ff"):
        build(labels=((bands,), bands), source_mask=(mask,))


def test_labels_are_ids_of_the_palette() -> None:
    job = build(labels=((halves(),), halves(24)), labels_weight=3)
    guide = only(job)
    assert guide.palette is not None
    back = guide.palette[guide.target[0, 0].long()]
    assert (back * 255 == torch.from_numpy(halves(24)).float()).all() and guide.weight == 3


def test_stretched_labels_stay_labels() -> None:
    job = build(labels=((halves(),), halves(24)), size="37x41")
    assert set(only(job).target.unique().tolist()) == {0, 1}
    assert set(only(job).sources[0].unique().tolist()) == {0, 1}


def test_one_label_for_each_exemplar() -> None:
    colours = zip(("red", "0000FF", "#ff0000"), (plain(RED), noise(), noise(1)), strict=True)
    job = build(label_exemplars=list(colours), label_map=halves())
    first, second, third = only(job).sources
    assert (float(first.unique()), float(second.unique()), float(third.unique())) == (0, 1, 0)
    assert (only(job).target[..., :8] == 0).all() and (only(job).target[..., 8:] == 1).all()


@pytest.mark.parametrize("colour", ["red", "RED", "ff0000", "#FF0000"])
def test_colours_have_many_names(colour: str) -> None:
    assert labels.colour(colour) == RED


def test_strength_is_one_share_of_all_guides() -> None:
    job = build(
        progression=((noise(1),), noise(2)), orientation="circle", guide_weight_map=np.full((5, 5), 51, np.uint8)
    )
    for guide in job.task.guides:
        assert guide.strength is not None and guide.strength.shape == (1, 1, 16, 20)
        assert torch.allclose(guide.strength, torch.tensor(0.2))
    for guide in job.task.at(1).guides:
        assert guide.strength is not None and guide.strength.shape == (1, 1, 8, 10)


@pytest.mark.usefixtures("steady")
def test_guides_reach_the_method_at_every_level(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks: list[Task] = []
    module: Any = methods.method("steady")
    begin: Callable[..., Any] = module.begin
    monkeypatch.setattr(module, "begin", lambda task, *rest: (tasks.append(task), begin(task, *rest))[1])
    weight = noise(5, channels=1)
    api.control(noise(), orientation="circle", guide_weight_map=weight, preset="steady", device="cpu", tile="xy")
    assert [task.guides[0].target.shape for task in tasks] == [(1, 2, 16, 20), (1, 2, 32, 40)]
    assert [task.guides[0].sources[0].shape for task in tasks] == [(1, 2, 8, 10), (1, 2, 16, 20)]
    assert [task.guides[0].strength is None for task in tasks] == [False, False]
    assert tasks[0].tile == (True, True)


def test_every_drawing_has_a_name_beforehand() -> None:
    remix = build(noise(), noise(1), orientation="circle", labels=((halves(), halves()), halves()))
    single = build(progression=((noise(1),), noise(2)), guide_weight_map=noise(3))
    for job in (remix, single):
        assert drawings.names(job, copies=False) == list(drawings.drawings(job, None))
        assert drawings.names(job, copies=True)[-1] == "copies"
    assert {"orientation_source-2_strokes", "labels_source-1"} <= set(drawings.names(remix, copies=False))


def test_strokes_of_a_large_field_are_drawn_reduced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawings, "LONGEST_DRAWING", 20)
    drawn = drawings.drawings(build(orientation="circle"), None)
    assert drawn["orientation_target_strokes"].pixels.shape == (1, 3, 16, 20)
    assert drawn["orientation_target"].pixels.shape == (1, 3, 32, 40)


def test_the_record_holds_what_from_reads() -> None:
    """Every value of its type, none beyond those that are known."""
    job = build(
        progression=(("auto",), noise(2)),
        refine=True,
        orientation="circle",
        label_exemplars=[("red", noise())],
        label_map=plain(RED),
        progression_weight=2,
    )
    stored = json.loads(json.dumps(job.values["guides"]))
    kinds = {o.name: o.stored for o in options(requests.Request) if o.section == "guides"}
    assert set(stored) == set(kinds) - {"blend"}  # which is for several exemplars
    assert all(isinstance(value, kinds[name]) for name, value in stored.items())
    assert [entry.role for entry in job.inputs] == ["exemplar", "progression-target", "labels-target"]


def test_the_api_and_the_command_line_make_the_same(texsynth: Texsynth) -> None:
    arrays = {"a": noise(), "s": noise(1, channels=1), "t": noise(2, channels=1), "l": halves(), "w": noise(4)}
    for name, values in arrays.items():
        image.write(f"{name}.png", image.from_array(values))
    np.save("f.npy", np.random.default_rng(3).normal(size=(2, 8, 8)))
    made = api.control(
        "a.png",
        "24x20",
        progression=("s.png", "t.png"),
        progression_weight=3,
        reverse=True,
        refine=True,
        match_range=True,
        match_histogram=True,
        orientation="f.npy",
        source_orientation="f.npy",
        orientation_weight=1.5,
        labels=("l.png", "l.png"),
        labels_weight=0.5,
        guide_weight_map="w.png",
        preset="obedient",
        seed=6,
        tile="x",
        maps={"m": "w.png"},
        crop="0,0,16,16",
        device="cpu",
    )
    words = """control a.png -s 24x20 --progression s.png t.png --progression-weight 3 --reverse --refine --match-range
    --match-histogram --orientation f.npy --source-orientation f.npy --orientation-weight 1.5 --labels l.png l.png
    --labels-weight 0.5 --guide-weight-map w.png -p obedient --seed 6 --tile x --map m=w.png --crop 0,0,16,16
    --device cpu -o o.png -q"""
    assert texsynth(*words.split()).code == 0
    assert np.array_equal(image.to_array(made.image), image.to_array(image.read("o.png")))
    assert dict(made.record) == image.read_metadata("o.png")


@pytest.mark.usefixtures("steady")
def test_label_exemplars_by_the_api() -> None:
    files = {"red": [plain((1, 1, 1)), plain((2, 2, 2))], "0000ff": plain((3, 3, 3))}
    made = api.control(label_exemplars=files, label_map=halves(), preset="obedient", device="cpu")
    pixels = image.to_array(made.image)
    assert set(pixels[:, :8].flatten()) <= {1, 2} and set(pixels[:, 8:].flatten()) == {3}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({}, "control needs a guide"),
        ({"exemplars": (), "orientation": "circle"}, "at least one exemplar"),
        ({"label_exemplars": {"red": plain(RED)}}, "leave EXEMPLAR out"),
        ({"progression": (noise(), noise()), "progression_weight": -1}, "from 0 up"),
        ({"progression": ([noise(), noise(1)], noise())}, "2 given for 1 exemplar"),
        ({"orientation": "circle", "source_orientation": [np.ones((2, 8, 8))] * 2}, "2 given for 1 exemplar"),
    ],
)
def test_usage(words: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        api.control(**{"exemplars": noise(), "device": "cpu", **words})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"orientation": np.ones((3, 8, 8, 2))}, r"\(2, height, width\)"),
        ({"orientation": np.full((2, 8, 8), np.inf)}, "array: direction map holds NaN or infinite"),
        ({"orientation": noise(1, channels=1)}, r"array: direction array of shape"),
        ({"progression": (np.full((8, 8), np.nan), noise())}, "NaN"),
        ({"progression": (plain(RED), noise())}, "array: the same everywhere"),
    ],
)
def test_inputs(words: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        api.control(noise(), device="cpu", **words)


def test_exemplars_are_blended_by_shares_or_by_a_map() -> None:
    """As barycenter does; without either they are remixed."""
    both = {"labels": ((halves(), halves()), halves())}
    assert build(noise(), noise(1), **both).task.blend is None
    even = build(noise(), noise(1), blend="1,3", **both)
    assert even.task.blend is not None and even.task.blend[0, :, 0, 0].tolist() == [0.25, 0.75]
    assert even.values["guides"]["blend"] == [0.25, 0.75]
    mapped = build(noise(), noise(1), blend_map=(halves(),), **both)
    assert mapped.task.blend is not None and mapped.task.blend.shape == (1, 2, *mapped.task.size)
    assert mapped.inputs[-1].role == "blend-map"
    for wrong, words in (
        ({"blend": "1,1", "blend_map": (halves(),)}, "exclude each other"),
        ({"blend_map": (halves(), halves())}, "2 given for 2 exemplars"),
    ):
        with pytest.raises(UsageError, match=words):
            build(noise(), noise(1), **both, **wrong)
    with pytest.raises(UsageError, match="needs two exemplars"):
        build(noise(), labels=((halves(),), halves()), blend="1")
