"""Optimal Textures: decoders and their training, passes, regions, tiling, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import builders
from builders import ignore, image_of
from networks import tensors
from pictures import generator, noise, spots
from texsynth.errors import InputError, UsageError
from texsynth.features import vgg19
from texsynth.learned.optimal_textures import matching, method, recipe, styles
from texsynth.learned.optimal_textures.decoder import LAYERS, Decoders, Shape, initialise
from texsynth.learned.shared import margins
from texsynth.metrics.gram_distance import LAYERS as MEASURED
from texsynth.settings import plain
from texsynth.task import Canvas, Exemplar, Guide, Stage, Task
from texsynth.training.recipes import Training
from texsynth.weights.catalogue import VGG19
from texsynth.weights.pretrained import Weights
from texsynth.weights.trained import Model
from training import check_chance, check_gradients, check_resumed

SMALL: dict[str, Any] = {"layers": ("relu1_1", "relu2_1"), "crop": 16, "steps": 40, "metric": "gram_distance"}


WEIGHTS = {"vgg19": Weights("random", "", tensors(MEASURED), VGG19.mean, VGG19.std)}


def task(size: tuple[int, int] = (32, 32), side: int = 32, **values: Any) -> Task:
    return builders.task(size, (side, side), weights=WEIGHTS, **values)


def untrained(shape: Shape, unit: float = 1.0) -> Decoders:
    """The mirror of a random encoder, for features of some size."""
    seen = {layer: unit * noise(1, method.CHANNELS[layer], 6, 6) for layer in shape.ordered()}
    return initialise(Decoders(shape), tensors(shape.ordered()), seen)


def model(*layers: str) -> Model:
    """Decoders without training: no pictures to look at, but all laws hold for them."""
    shape = Shape(layers or SMALL["layers"])
    return Model("optimal-textures", plain(shape), untrained(shape).state_dict(), {}, "m.safetensors", "")


def image(asked: Task, trained: Model | None = None, **values: Any) -> Tensor:
    """What a run with these settings makes, of the right size and range."""
    words = method.Settings(**{"passes": 2, "coarsest": 16, "iterations": 40, **values})
    out = image_of(builders.run(replace(asked, model=trained or model()), Stage("optimal_textures", words)))
    assert out.shape == (1, 3, *asked.size) and out.dtype == torch.float32
    assert float(out.min()) >= 0 and float(out.max()) <= 1
    return out


@pytest.mark.parametrize("layer", ["relu1_1", "relu2_1", "relu3_1", "relu4_1"])
def test_a_decoder_mirrors_the_encoder(layer: str) -> None:
    shape = Shape((layer,))
    net = untrained(shape).of(layer)
    shapes = [tuple(c.weight.shape[:2]) for c in net.convolutions if isinstance(c, torch.nn.Conv2d)]
    encoder = [shape[:2] for key, shape in vgg19.keys([layer]).items() if "weight" in key]
    assert shapes == [(into, out) for out, into in encoder[::-1]]
    decoded = net(noise(2, method.CHANNELS[layer], 3, 2))
    assert decoded.shape == (2, 3, 3 * net.cell, 2 * net.cell)


@pytest.mark.parametrize("tile", [(True, False), (False, True), (True, True)])
def test_a_decoder_wraps_along_axes_that_tile(tile: tuple[bool, bool]) -> None:
    net = untrained(Shape(("relu2_1",))).of("relu2_1")
    seen = noise(1, 128, 6, 5)
    for dim, wraps in zip((2, 3), tile, strict=True):
        rolled = net(seen.roll(1, dim), tile).roll(-net.cell, dim)
        assert torch.allclose(rolled, net(seen, tile), atol=1e-5) == wraps


def test_the_scale_of_features_does_not_matter() -> None:
    nets = [untrained(Shape(("relu1_1",)), unit).of("relu1_1") for unit in (1.0, 50.0)]
    seen = noise(1, 64, 8, 8)
    assert torch.allclose(nets[0](seen), nets[1](50 * seen), atol=1e-5)


def training(asked: Task, **values: Any) -> tuple[Training, torch.Generator]:
    rng = generator()
    return recipe.build(asked, recipe.Settings(**{**SMALL, **values}), rng), rng


def test_every_parameter_gets_a_gradient() -> None:
    check_gradients(training(task())[0])


def test_errors_fall() -> None:
    started, _ = training(task(), rate=3e-3)
    errors = [started.step(number) for number in range(40)]
    for name in SMALL["layers"]:
        first, last = (sum(row[name] for row in some) for some in (errors[:5], errors[-5:]))
        assert last < 0.7 * first, name


def test_a_resumed_run_equals_an_uninterrupted_one() -> None:
    check_resumed(lambda: training(task()), 1)


def test_chance_is_the_runs_own() -> None:
    check_chance(lambda: training(task()))


def test_samples_stand_beside_their_exemplar() -> None:
    started, _ = training(task(side=48), crop=24)
    source, output = started.sample()
    assert started.measure() > 0
    assert torch.equal(source, spots(48, 48)) and output.shape == (1, 3, 48, 48)


def test_the_rate_falls_to_nothing() -> None:
    settings = recipe.Settings(steps=10)
    rates = [recipe.rate(settings, number) for number in range(11)]
    assert rates[0] == settings.rate and rates == sorted(rates, reverse=True) and rates[-1] < 1e-9


def test_exemplars_too_small_are_refused() -> None:
    with pytest.raises(InputError, match="a is 12x12, but at least 16x16"):
        training(task(side=12))


def test_no_layers_are_refused() -> None:
    with pytest.raises(UsageError, match="layers is empty"):
        Shape(())


@pytest.mark.parametrize(
    ("values", "scales", "steps"),
    [
        ({"passes": 3, "coarsest": 32}, [2, 0.678072, 0], [2, 2, 3]),
        ({"passes": 1, "coarsest": 32}, [0], [3]),
        ({"passes": 4, "coarsest": 500, "colours": "off"}, [0], [8]),
        ({"passes": 5, "coarsest": 32, "sizes": "octaves"}, [2, 1, 0], [2, 4, 5]),
        ({"passes": 2, "coarsest": 16, "sizes": "octaves"}, [2, 0], [2, 3]),
    ],
)
def test_passes(values: dict[str, Any], scales: list[float], steps: list[int]) -> None:
    levels = method.schedule(task(side=128, model=model()), method.Settings(**values))
    assert ([level.scale for level in levels], [level.steps for level in levels]) == (scales, steps)


def test_cdf_has_the_rotations_of_the_released_code() -> None:
    """500 for five passes over five layers, with the layer that they were meant for."""
    table = [[method.cdf_rounds(method.Settings(), name, n) for name in LAYERS] for n in (0, 1, 4)]
    assert table == [[8, 13, 22, 40, 40], [8, 12, 20, 36, 36], [5, 8, 13, 24, 24]]


@pytest.mark.parametrize("mode", matching.MODES)
@pytest.mark.parametrize("components", [0.0, 0.8])
def test_any_size_and_the_colours_of_the_exemplar(mode: str, components: float) -> None:
    asked = task((37, 50))
    made = image(asked, match=mode, components=components)
    source = asked.exemplars[0].image
    assert float((made.mean((2, 3)) - source.mean((2, 3))).abs().max()) < 0.02
    assert float((made.std((2, 3)) / source.std((2, 3)) - 1).abs().max()) < 0.05


def test_each_channel_has_the_values_of_the_exemplar() -> None:
    asked = task()
    made, source = (x[0].flatten(1).sort(1).values for x in (image(asked), asked.exemplars[0].image))
    assert torch.equal(made, source)


@pytest.mark.parametrize("size", [(32, 32), (30, 34)])
def test_a_picture_that_tiles_goes_on_at_its_border(size: tuple[int, int]) -> None:
    """Rolling the noise by whole cells rolls all that is made of it."""
    first, second = (
        image(task(size, tile=(True, True), init=noise(1, 3, *size).roll(roll, (2, 3))), passes=1, colours="off")
        for roll in ((0, 0), (8, 16))
    )
    if size == (32, 32):  # others are stretched to whole cells
        assert torch.allclose(first.roll((8, 16), (2, 3)), second, atol=1e-3)
    inner = (first[:, :, 1:] - first[:, :, :-1]).abs().mean()
    assert float((first[:, :, 0] - first[:, :, -1]).abs().mean()) < 3 * float(inner)


def test_a_start_is_kept_in_the_large() -> None:
    """A model that decodes well, the identity of colours, leaves the layout of the start where it was."""
    start = spots(32, 32, seed=3)
    kept, noisy = (image(asked, model("relu1_1"), passes=1) for asked in (task(init=start), task()))
    assert not torch.equal(kept, noisy)


def halves(h: int, w: int) -> Tensor:
    """0 in the left half and 1 in the right one."""
    return (torch.arange(w) >= w // 2).float().expand(1, 1, h, w)


def two_colours(side: int = 32) -> Tensor:
    """Dark spots on the left, light ones on the right."""
    return (0.3 * spots(side, side) + 0.6 * halves(side, side)).clamp(0, 1)


@pytest.mark.parametrize("mode", ["symmetric", "cdf"])
@pytest.mark.parametrize("softness", [0, 6])
def test_labels_say_what_goes_where(mode: str, softness: int) -> None:
    guide = Guide("labels", (halves(32, 32),), 1 - halves(32, 48), distance="l0")
    asked = Task((Exemplar("a", two_colours()),), (32, 48), weights=WEIGHTS, guides=(guide,))
    made = image(asked, match=mode, softness=softness)
    assert float(made[..., :20].mean()) > float(made[..., 28:].mean()) + 0.4


@pytest.fixture
def pair() -> Task:
    dark, light = (Exemplar(str(level), 0.3 * spots(32, 28) + level) for level in (0.0, 0.6))
    return Task((dark, light), (32, 32), weights=WEIGHTS)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_a_blend_has_the_mean_of_its_shares(pair: Task, share: float) -> None:
    shares = torch.tensor([1 - share, share]).view(1, 2, 1, 1).expand(1, 2, 32, 32)
    means = [float(e.image.mean()) for e in pair.exemplars]
    wanted = means[0] * (1 - share) + means[1] * share
    assert abs(float(image(replace(pair, blend=shares)).mean()) - wanted) < 0.04


def test_a_blend_may_change_over_the_picture(pair: Task) -> None:
    ramp = torch.linspace(0, 1, 32).expand(1, 1, 32, 32)
    columns = image(replace(pair, blend=torch.cat([1 - ramp, ramp], 1))).mean((0, 1, 2))
    assert float(columns[:4].mean()) < float(columns[14:18].mean()) - 0.1 < float(columns[28:].mean()) - 0.2


def test_exemplars_without_a_blend_are_one_source(pair: Task) -> None:
    mean = float(torch.stack([e.image.mean() for e in pair.exemplars]).mean())
    assert abs(float(image(pair).mean()) - mean) < 0.04


@pytest.mark.parametrize("kinds", [2, 3])
def test_regions_share_every_pixel(kinds: int) -> None:
    target = (noise(1, 1, 20, 24) * kinds).floor()
    guide = Guide("labels", (target,), target, distance="l0", strength=noise(1, 1, 20, 24, seed=1))
    asked = Task((Exemplar("a", spots(20, 24)),), (20, 24), weights=WEIGHTS, guides=(guide,))
    regions = styles.regions(asked, 5)
    assert len(regions) == kinds + 1
    assert torch.allclose(torch.stack([r.share for r in regions]).sum(0), torch.ones(1, 1, 20, 24), atol=1e-5)


def test_many_shares_are_rounded_and_still_add_up() -> None:
    blend = torch.softmax(4 * noise(1, 3, 16, 16), 1)
    asked = replace(task((16, 16)), exemplars=(Exemplar("a", spots(16, 16)),) * 3, blend=blend)
    for region in styles.regions(asked, 0):
        assert region.mixture is not None and abs(sum(region.mixture) - 1) < 1e-6
        inside = blend[:, :, region.share[0, 0] > 0].mean(2)[0]
        assert float((inside - torch.tensor(region.mixture)).abs().max()) < 0.26


def test_what_is_not_valid_is_never_learned_from() -> None:
    source = two_colours()
    valid = halves(32, 32) == 0
    asked = Task((Exemplar("a", source, valid),), (32, 32), weights=WEIGHTS)
    assert float(image(asked).max()) <= float(source[:, :, :, :16].max()) + 0.1


@pytest.mark.parametrize("size", [(3, 17), (16, 9)])
@pytest.mark.parametrize("tile", [(False, False), (True, False)])
def test_whole_cells_and_back(size: tuple[int, int], tile: tuple[bool, bool]) -> None:
    picture = noise(1, 3, *size)
    larger = margins.whole(picture, 8, tile)
    assert all(n % 8 == 0 for n in larger.shape[2:])
    back = margins.part(larger, 8, size, tile)
    assert back.shape == picture.shape
    if not tile[0]:
        assert torch.equal(back, picture)


def test_stretching_keeps_what_wraps() -> None:
    picture = spots(8, 8)
    wide = margins.stretched(picture, (16, 8), (True, True))
    assert torch.allclose(margins.stretched(picture.roll(1, 2), (16, 8), (True, True)), wide.roll(2, 2), atol=1e-6)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"hole": torch.ones(1, 1, 32, 32, dtype=torch.bool)}, "fills no holes"),
        ({"start": torch.zeros(1, 2, 32, 32)}, "moves nothing"),
        ({"guides": (Guide("p", (noise(1, 1, 32, 32),), noise(1, 1, 32, 32)),)}, "by labels only"),
        ({}, None),
    ],
)
def test_what_it_cannot_do_is_refused(values: dict[str, Any], words: str) -> None:
    reason = method.refuses(task(**values), method.Settings())
    assert words == reason or str(words) in str(reason)


def test_it_goes_on_from_a_canvas_of_another_size() -> None:
    asked = replace(task(), model=model())
    settings = method.Settings(passes=2, coarsest=16)
    level = method.schedule(asked, settings)[0]
    before = Canvas(spots(50, 40))
    canvas, step = method.begin(asked.at(level.scale), before, level, settings, generator(), ignore)
    assert canvas.image.shape == (1, 3, 16, 16)
    assert float((canvas.image.mean() - before.image.mean()).abs()) < 0.02
    assert step(canvas)[0].image.shape == (1, 3, 16, 16)
