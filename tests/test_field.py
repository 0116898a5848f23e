"""The correspondence field, end to end: what a user may count on, on small pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import pictures
import texsynth
from builders import run
from conftest import palette
from pictures import bytes_of, noise, places
from texsynth import methods, preset
from texsynth.errors import UsageError
from texsynth.field import atlas
from texsynth.field.atlas import COPY_SETS
from texsynth.image import to_array
from texsynth.runs.loop import Outcome
from texsynth.runs.run import Result
from texsynth.task import Event, Exemplar, Level, Task

field = methods.method("field")


def spots(h: int, w: int, seed: int = 0) -> np.ndarray:
    """Smooth spots some six pixels across, (h, w, 3) of 8 bits."""
    return bytes_of(pictures.spots(h, w, seed))


QUICK = {"passes": [3, 2, 1], "tries": 12, "starts": 1, "recuts": [4]}


def quick(exemplars: Any, size: str | int, settings: dict[str, Any] | None = None, **words: Any) -> Result:
    return texsynth.synthesize(exemplars, size, settings={**QUICK, **(settings or {})}, **words)


def looped(
    exemplars: list[Tensor], size: tuple[int, int], tile: tuple[bool, bool] = (False, False), **set_: Any
) -> Outcome:
    """Through the loop, which has no smallest size."""
    task = Task(tuple(Exemplar(str(n), image) for n, image in enumerate(exemplars)), size, tile)
    return run(task, *preset.resolve(values={**QUICK, **set_}).stages)


def halves(contrast: float) -> np.ndarray:
    """Noise round red on the left, round blue on the right, (64, 64, 3)."""
    image = 0.5 + 0.3 * (noise(64, 64, 3) - 0.5)
    side = torch.where(torch.arange(64) < 32, contrast, -contrast)
    image[..., 0] += side
    image[..., 2] -= side
    return bytes_of(image.clamp(0, 1).permute(2, 0, 1)[None])


def share_of_left(exemplar: np.ndarray, seed: int, **set_: Any) -> float:
    result = texsynth.synthesize(exemplar, 128, seed=seed, settings=set_)
    assert result.field is not None
    return float((atlas.coordinates(result.field).x < exemplar.shape[1] // 2).float().mean())


def test_two_halves_keep_their_proportions() -> None:
    """Within 0.1 of a half each, on average over three seeds, where the halves differ as much as their grain does."""
    shares = [share_of_left(halves(0.05), seed) for seed in range(3)]
    assert sum(abs(share - 0.5) for share in shares) / 3 <= 0.1, shares


def test_a_higher_price_keeps_the_proportions_of_the_most_different_halves() -> None:
    assert share_of_left(halves(0.3), 0, proportion=2.0) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("grey", [0, 77, 255])
@pytest.mark.parametrize("tile", ["none", "xy"])
def test_a_constant_gives_the_constant(grey: int, tile: str) -> None:
    result = quick(np.full((24, 30, 3), grey, np.uint8), "50x40", tile=tile)
    assert (to_array(result.image) == grey).all()


SETTINGS = ({"copies": "flips"}, {"copies": "rotations"}, {"copies": "all"}, {"occurrence": 0.5}, {"coarsest": 8})


@pytest.mark.parametrize("words", [{}, {"tile": "xy"}, *({"settings": set_} for set_ in SETTINGS)], ids=str)
def test_pixels_are_copied_from_where_the_field_points(words: dict[str, Any]) -> None:
    """Every pixel, and a map of places exactly as it; the copies asked for are used, and no others."""
    exemplar = spots(36, 44)
    result = quick(exemplar, "70x61", maps={"places": places(36, 44)}, exact_copies=True, **words)
    assert result.field is not None
    output, at = to_array(result.image), atlas.coordinates(result.field)
    assert output.shape == (61, 70, 3)
    assert np.array_equal(output, exemplar[at.y.numpy(), at.x.numpy()])
    assert np.array_equal(to_array(result.maps["places"]), (at.y * 44 + at.x).numpy())
    name = words.get("settings", {}).get("copies", "none")
    assert result.field.copies == COPY_SETS[name]
    assert (len(at.copy.unique()) > 1) == (name != "none")


def test_normals_through_all_copies_stay_normals_of_the_relief() -> None:
    """A map of normals is turned with each pixel's copy: uphill in the output is uphill in the copied height."""
    down, right = torch.gradient(noise(40, 40) * 3)
    n = F.normalize(torch.stack([-right, down, torch.ones(40, 40)])[None])
    normal = ((n + 1) / 2)[0].permute(1, 2, 0).numpy().astype(np.float32)
    result = quick(spots(40, 40), 64, settings={"copies": "all"}, maps={"normal": normal})
    assert result.field is not None
    at = atlas.coordinates(result.field)
    copied = to_array(result.maps["normal"]) * 2 - 1
    source = normal[at.y.numpy(), at.x.numpy()] * 2 - 1
    assert np.allclose((copied**2).sum(-1), 1, atol=1e-4)
    assert np.array_equal(copied[..., 2], source[..., 2])
    plain = (at.copy == 0).numpy()
    half_turn = (at.copy == COPY_SETS["all"].index("rotate-180")).numpy()
    assert np.array_equal(copied[plain], source[plain])
    assert np.allclose(copied[half_turn][:, :2], -source[half_turn][:, :2], atol=1e-6)


def steps(image: Tensor, dim: int) -> tuple[float, float]:
    """Mean step in colour between neighbours along a side: inside, and across its two ends."""
    step = (image - image.roll(-1, dim)).abs().movedim(dim, 0)
    return float(step[:-1].mean()), float(step[-1].mean())


def misfit(image: Tensor, exemplar: np.ndarray) -> Tensor:
    """Squared distance of every 5 x 5 window, wrapped, to the nearest in the exemplar, (h, w)."""
    windows = F.unfold(F.pad(image, (2,) * 4, mode="circular"), 5)[0].T
    there = F.unfold(torch.tensor(exemplar).permute(2, 0, 1)[None].float() / 255, 5)[0].T
    return torch.cdist(windows, there).min(1).values.square().view(image.shape[2:])


@pytest.mark.parametrize("tile", ["none", "x", "y", "xy"])
def test_tiling_is_seamless_and_none_is_not(tile: str) -> None:
    """Over three seeds, across the wrap: the mean step in colour is at most 1.3 of that inside, and windows lie at most
    twice as far from the exemplar's as those inside. Without tiling, both are far more."""
    exemplar = spots(48, 56)
    ratios: dict[str, list[tuple[float, float]]] = {"y": [], "x": []}
    for seed in range(3):
        result = quick(exemplar, "96x80", tile=tile, seed=seed)
        assert result.field is not None and result.field.tile == ("y" in tile, "x" in tile)
        output = result.image.pixels
        far = misfit(output, exemplar)
        inside = float(far[2:-2, 2:-2].mean())
        rows = torch.cat([far[:2], far[-2:]])[:, 2:-2]
        cols = torch.cat([far[:, :2], far[:, -2:]], 1)[2:-2]
        for name, dim, band in (("y", 2, rows), ("x", 3, cols)):
            within, across = steps(output, dim)
            ratios[name].append((across / within, float(band.mean()) / inside))
    for name, pairs in ratios.items():
        step, window = np.mean(pairs, 0)
        if name in tile:
            assert step <= 1.3 and window <= 2, (name, step, window)
        else:
            assert step >= 2 and window >= 3, (name, step, window)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not() -> None:
    exemplar = spots(40, 40)
    first, again, other = (quick(exemplar, 72, {"starts": 2}, seed=seed) for seed in (3, 3, 4))
    assert first.image.pixels.numpy().tobytes() == again.image.pixels.numpy().tobytes()
    assert first.field is not None and again.field is not None
    assert torch.equal(first.field.index, again.field.index)
    assert torch.equal(first.field.cost, again.field.cost)
    assert float((first.image.pixels != other.image.pixels).float().mean()) > 0.3


@pytest.mark.parametrize("kind", ["disc", "specks", "one pixel"])
def test_what_is_masked_is_never_copied(kind: str) -> None:
    """At full resolution, though the coarse levels see only shares of the mask; also where no block fits."""
    y, x = np.mgrid[:96, :70]
    mask = {
        "disc": (y - 50) ** 2 + (x - 31) ** 2 < 27**2,
        "specks": np.random.default_rng(0).random((96, 70)) < 0.04,
        "one pixel": (y == 13) & (x == 60),
    }[kind]
    white = mask.astype(np.uint8) * 255
    maps = {"places": places(96, 70)}
    result = quick(spots(96, 70), "80x60", source_mask=white, maps=maps, settings={"coarsest": 24})
    assert mask.flatten()[to_array(result.maps["places"])].all()


def test_several_exemplars_are_all_used() -> None:
    """Of different sizes and colours; a map tells which one each pixel is from."""
    tones = ((120, 0, 0), (0, 120, 0), (0, 0, 120))
    shapes = ((40, 40), (40, 40), (30, 48))
    parts = [(spots(*s, seed=n) * 0.4 + tones[n]).astype(np.uint8) for n, s in enumerate(shapes)]
    maps = {"number": [np.full(s, 10 * n, np.uint8) for n, s in enumerate(shapes)]}
    result = texsynth.synthesize(parts, 96, maps=maps, exact_copies=True)
    number, output = to_array(result.maps["number"]), to_array(result.image)
    for n, part in enumerate(parts):
        share = number == 10 * n
        assert share.mean() > 0.05 and palette(output[share]) <= palette(part)


def test_an_init_picture_is_followed() -> None:
    """The output's blurred brightness correlates with the ramp it started from, and with its mirror image."""
    ramp = np.tile(np.linspace(0, 255, 96).astype(np.uint8)[None, :, None], (80, 1, 3))
    for init in (ramp, ramp[:, ::-1]):
        output = quick(spots(48, 56), "96x80", init=np.ascontiguousarray(init)).image.pixels
        coarse = F.avg_pool2d(output.mean(1, keepdim=True), 8).flatten()
        wanted = F.avg_pool2d(torch.tensor(init.copy()).float().mean(2)[None, None], 8).flatten()
        assert float(torch.corrcoef(torch.stack([coarse, wanted]))[0, 1]) > 0.8


@pytest.mark.parametrize("tile", [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("sides", ["8x8 40x33", "8x8 3x5", "9x14 30x20", "64x64 20x24", "96x96 9x50", "50x60 61x97",
                                   "20x200 48x64", "97x61 1x1"])  # fmt: skip
def test_any_size_of_any_exemplar(sides: str, tile: tuple[bool, bool]) -> None:
    exemplar, size = (tuple(map(int, side.split("x"))) for side in sides.split())
    outcome = looped([noise(1, 3, *exemplar)], size, tile)
    assert outcome.canvas is not None and outcome.canvas.field is not None
    assert outcome.canvas.image.shape == (1, 3, *size)
    copied = outcome.canvas.field
    assert copied.size == size
    assert copied.atlas.valid[copied.index].all() and copied.cost.isfinite().all()
    assert torch.equal(outcome.canvas.image, copied.image())


@pytest.mark.parametrize(
    "set_", [{"patch": 21}, {"patch": 3}, {"similar": 0}, {"passes": [0]}, {"components": 243}], ids=str
)
def test_the_ends_of_the_settings_run(set_: dict[str, Any]) -> None:
    outcome = looped([noise(1, 3, 12, 20)], (24, 24), **set_)
    assert outcome.canvas is not None and outcome.canvas.image.shape == (1, 3, 24, 24)


def test_the_schedule_goes_from_coarse_to_full_size() -> None:
    """Every level gets its passes from the end of the list; levels beyond it the first."""
    task = Task((Exemplar("a", noise(1, 3, 64, 80)),), (32, 32))
    for coarsest, passes, expected in (
        (8, (8, 4, 2), [(3, 8), (2, 8), (1, 4), (0, 2)]),
        (8, (5,), [(3, 5), (2, 5), (1, 5), (0, 5)]),
        (64, (8, 4, 2), [(0, 2)]),
        (256, (8, 4, 2), [(0, 2)]),
    ):
        levels = field.schedule(task, field.Settings(coarsest=coarsest, passes=passes))
        assert levels == [Level(*each) for each in expected]


def test_every_level_is_run_and_reported() -> None:
    events: list[Event] = []
    result = texsynth.synthesize(spots(64, 64), 96, settings={"coarsest": 8, "passes": [2, 1]}, progress=events.append)
    expected = [(3, 1), (3, 2), (2, 1), (2, 2), (1, 1), (1, 2), (0, 1)]
    assert [(e.level, e.step) for e in events] == expected
    assert [e.canvas.image.shape[2] for e in events] == [12, 12, 24, 24, 48, 48, 96]
    assert [e.done for e in events] == sorted(e.done for e in events)
    assert 0.5 < events[-1].done <= 1 and events[0].left > events[-1].left >= 0
    assert [loss[1:3] for loss in result.losses] == [(level, step - 1) for level, step in expected]
    assert all(np.isfinite(loss[3]) for loss in result.losses)


def test_passes_lower_the_cost() -> None:
    """From the first to the last pass of a level, on average over the levels of three runs."""
    ratios = []
    for seed in range(3):
        losses = texsynth.synthesize(spots(64, 64), 112, seed=seed, settings={"passes": [6], "coarsest": 16}).losses
        ratios += [losses[6 * n + 5][3] / losses[6 * n][3] for n in range(3)]
    assert max(ratios) < 1.05
    assert sum(ratios) / 9 < 0.96, ratios


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("patch", 8, "odd side; 9 is the nearest"),
        ("passes", [], "passes is empty"),
        ("patch", 33, "patch"),
        ("copies", "some", "copies"),
        ("lattice", "maybe", "lattice"),
        ("passes", [-1], "passes"),
    ],
)
def test_settings_are_checked(name: str, value: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        texsynth.synthesize(spots(16, 16), 16, settings={name: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("stop", range(1, 8))
def test_ctrl_c_leaves_a_picture_of_full_size(stop: int) -> None:
    """After any step of any level: all pixels still are the exemplar's own."""
    exemplar, events = spots(64, 50), []

    def interrupt(event: Event) -> None:
        events.append(event)
        if len(events) == stop:
            raise KeyboardInterrupt

    words = {"settings": {"coarsest": 8, "passes": [2, 1]}, "maps": {"p": places(64, 50)}, "exact_copies": True}
    result = texsynth.synthesize(exemplar, "75x53", progress=interrupt, **words)
    assert result.interrupted and result.record["interrupted"] is True and len(events) == stop
    output = to_array(result.image)
    assert output.shape == (53, 75, 3)
    assert np.array_equal(output, exemplar.reshape(-1, 3)[to_array(result.maps["p"])])


def test_a_regular_exemplar_is_kept_in_step() -> None:
    """Tiles of eight pixels: the lattice is found, said, and holds to a pixel over the whole canvas;
    off, nothing is said."""
    rows, cols = (np.arange(64) % 8 < 2 for _ in range(2))
    wall = np.where((rows[:, None] | cols[None])[..., None], 200, 60) + np.zeros(3)
    wall = (wall + np.random.default_rng(0).integers(-30, 31, (64, 64, 3))).astype(np.uint8)
    task = Task((Exemplar("a", torch.tensor(wall).permute(2, 0, 1)[None] / 255),), (100, 110))
    for switch in ("auto", "off"):
        said: list[str] = []
        outcome = run(task, *preset.resolve(values={**QUICK, "lattice": switch}).stages, say=said.append)
        assert any("lattice: steps" in line for line in said) == (switch != "off")
        assert outcome.canvas is not None and outcome.canvas.field is not None
        if switch != "off":
            at = atlas.coordinates(outcome.canvas.field)
            y, x = torch.meshgrid(torch.arange(100), torch.arange(110), indexing="ij")
            for phase in ((at.y - y) % 8, (at.x - x) % 8):
                off = (phase - phase.flatten().mode().values + 4) % 8 - 4
                assert float((off.abs() <= 1).float().mean()) > 0.98


def test_an_irregular_exemplar_has_no_lattice() -> None:
    said: list[str] = []
    run(Task((Exemplar("a", noise(1, 3, 48, 48)),), (48, 48)), *preset.resolve(values=QUICK).stages, say=said.append)
    assert any(line.startswith("lattice: none") for line in said)


def test_the_estimate_grows_with_the_work() -> None:
    def cost(exemplar: int, size: int, **set_: Any) -> tuple[float, float]:
        task = Task((Exemplar("a", torch.zeros(1, 3, exemplar, exemplar)),), (size, size))
        estimate = field.estimate(task, field.Settings(**set_))
        return estimate.memory, estimate.seconds

    base = cost(64, 128)
    for bigger in (cost(64, 256), cost(64, 128, copies="all"), cost(64, 128, passes=(8, 8, 8))):
        assert bigger[0] >= base[0] and bigger[1] > base[1]
    assert cost(64, 4096)[0] > 2 * base[0]
    assert cost(512, 128)[0] > cost(256, 128)[0], "from smaller ones the first pieces take most, whatever the exemplar"
