"""SPADE under maps: windows of one picture, maps to practise on, what is compared, how it is trained and used."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from models import finished, model_of, one_hot
from networks import vgg_weights
from pictures import generator, noise, spots
from texsynth import settings
from texsynth.errors import InputError, UsageError
from texsynth.learned.shared import copies
from texsynth.learned.shared.conv import initialise
from texsynth.learned.shared.generator import Generator
from texsynth.learned.spade import network as guided
from texsynth.learned.spade import recipe, targets
from texsynth.learned.spade.targets import TargetOptions
from texsynth.learned.texture_net.network import Window
from texsynth.losses import Setup
from texsynth.methods import feedforward
from texsynth.task import Exemplar, Guide, Task
from texsynth.training import preset
from texsynth.training.recipes import Training
from training import check_chance, check_growing, check_learning, check_resumed

OFF, BOTH = (False, False), (True, True)
SMALL: dict[str, Any] = {"width": 4, "hidden": 6, "levels": 2, "noise": 2}
COLOURS = torch.tensor([[0.9, 0.1, 0.1], [0.1, 0.2, 0.9], [0.2, 0.8, 0.3]])
KINDS = ("labels", "progression", "orientation")
DISTANCES = {"labels": "l0", "progression": "l2", "orientation": "direction"}
QUICK = {**recipe.GUIDED, "layers": ["quarter"]}
VGG: dict[str, Any] = {
    "features": "vgg19",
    "objectives": [{"loss": "correspondence", "features": "vgg19", "layers": ["relu2_1", "relu3_1"], "patch": 3}],
}


def values_of(kind: str, h: int = 40, w: int = 44) -> Tensor:
    smooth = spots(h, w, seed=5)[:, :1]
    if kind == "labels":
        return (smooth * 2.99).floor()
    turn = smooth * math.pi
    return smooth if kind == "progression" else torch.cat([turn.cos(), turn.sin()], 1)


def guide_of(kind: str, h: int = 40, w: int = 44) -> Guide:
    values = values_of(kind, h, w)
    return Guide(kind, (values,), values, distance=DISTANCES[kind], palette=COLOURS if kind == "labels" else None)


def task(*kinds: str, h: int = 40, w: int = 44, **values: Any) -> Task:
    guides = tuple(guide_of(kind, h, w) for kind in kinds or ("progression",))
    return Task((Exemplar("a", spots(h, w)),), (h, w), guides=guides, **values)


def chosen(**values: Any) -> recipe.Settings:
    small = {**SMALL, "discriminator_width": 4, "crop": 24, "objectives": [QUICK]}
    plain = {**small, "steps": 4, "first": 0.5, **values}
    return settings.make(recipe.Settings, plain, "test")


def training(*kinds: str, seed: int = 0, **values: Any) -> tuple[Training, torch.Generator]:
    rng = generator(seed)
    return recipe.build(task(*kinds), chosen(**values), rng), rng


def built(*kinds: str, **values: Any) -> Training:
    return training(*kinds, **values)[0]


def shape(**values: Any) -> guided.Shape:
    return settings.make(guided.Shape, {**SMALL, **values}, "test")


def net_of(**values: Any) -> Generator:
    return initialise(Generator(shape(**values), 1), generator(), 1.0).eval()


def painted(net: Generator, condition: Tensor, window: Window | None = None, tile: Any = OFF, key: int = 7) -> Tensor:
    window = window or Window(0, condition.shape[2], 0, condition.shape[3])
    with torch.no_grad():
        return guided.paint(net, condition, key, window, tile)


# Windows of one picture


@pytest.mark.parametrize("size", [(96, 160), (33, 50), (5, 7)])
def test_pictures_have_the_size_of_their_maps(size: tuple[int, int]) -> None:
    out = painted(net_of(), noise(1, 1, *size))
    assert out.shape == (1, 3, *size)
    assert float(out.min()) >= 0 and float(out.max()) <= 1


@pytest.mark.parametrize("tile", [OFF, BOTH, (True, False)])
@pytest.mark.parametrize("normalisation", ["positional", "instance", "batch"])
def test_a_window_is_part_of_the_whole(tile: tuple[bool, bool], normalisation: str) -> None:
    net = net_of(normalisation=normalisation, more=2)
    size = (136, 100) if tile[0] else (131, 98)
    condition = noise(1, 1, *size)
    whole = painted(net, condition, tile=tile)
    assert guided.reach(net.shape) < 60  # or no window would be less than the whole
    for window in (Window(0, 8, 0, 12), Window(64, 80, 40, 60), Window(120, size[0], 88, size[1])):
        part = window.of(Window(0, size[0], 0, size[1]), whole)
        assert torch.allclose(painted(net, condition, window, tile), part, atol=1e-5)


def test_nothing_beyond_the_reach_counts() -> None:
    net = net_of(more=2)
    condition = noise(1, 1, 16, 160)
    far = condition.clone()
    far[..., 60 + guided.reach(net.shape) :] = 0
    window = Window(0, 16, 40, 60)
    assert torch.equal(painted(net, condition, window), painted(net, far, window))


def test_pictures_that_tile_go_on_at_the_other_side() -> None:
    """Maps and noise moved round by a cell move the picture with them."""
    net = net_of()
    condition, period = noise(1, 1, 32, 48), (32, 48)
    once = guided.noise_maps(net.shape, 3, Window(0, 32, 0, 48), period, torch.device("cpu"))
    moved = guided.noise_maps(net.shape, 3, Window(-8, 24, 16, 64), period, torch.device("cpu"))
    with torch.no_grad():
        first = net(condition, once, BOTH)
        second = net(condition.roll((8, -16), (2, 3)), moved, BOTH)
    assert torch.allclose(first.roll((8, -16), (2, 3)), second, atol=1e-5)


def test_keys_and_noise_make_other_pictures() -> None:
    condition = noise(1, 1, 16, 16)
    assert not torch.allclose(painted(net_of(), condition), painted(net_of(), condition, key=8), atol=1e-2)
    still = net_of(noise=0)
    assert torch.equal(painted(still, condition), painted(still, condition, key=8))


# Maps to practise on


def options(**values: Any) -> TargetOptions:
    return replace(TargetOptions((1.0, 1.0, 1.0), 1.5, 24), **values)


@pytest.mark.parametrize("seed", range(6))
def test_targets_hold_what_maps_of_their_kind_may(seed: int) -> None:
    maps = [values_of(kind) for kind in KINDS]
    maps[0] = maps[0].clamp(max=1)
    ids, smooth, direction = targets.draw(maps, [DISTANCES[kind] for kind in KINDS], options(), generator(seed))
    assert {tuple(values.shape) for values in (ids, smooth)} == {(1, 1, 24, 24)}
    assert set(ids.unique().tolist()) <= {0, 1}
    assert float(smooth.min()) >= 0 and float(smooth.max()) <= 1
    assert torch.allclose(direction.norm(dim=1), torch.ones(1, 24, 24), atol=1e-4)


def test_a_tenth_is_perturbed_seven_tenths_stretched_and_two_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    for name in ("perturbed", "stretched", "pure"):
        monkeypatch.setattr(targets, name, lambda *_, name=name: drawn.append(name) or [torch.zeros(1)])
    words = recipe.Settings()
    chances = TargetOptions((words.perturbed, words.stretched, words.perlin), words.factor, 24)
    rng = generator()
    for _ in range(1000):
        targets.draw([values_of("progression")], ["l2"], chances, rng)
    shares = [drawn.count(name) / 1000 for name in ("perturbed", "stretched", "pure")]
    assert shares == pytest.approx([0.1, 0.7, 0.2], abs=0.04)


@pytest.mark.parametrize("seed", range(4))
def test_directions_turn_with_their_map(seed: int) -> None:
    """Where values rise across a direction they still do, however a map is turned and stretched."""
    y, x = torch.meshgrid(torch.arange(200.0), torch.arange(220.0), indexing="ij")
    turn = torch.tensor(0.4)
    ramp = y * turn.cos() - x * turn.sin()  # the same along the direction
    field = torch.stack([turn.cos().expand_as(x), turn.sin().expand_as(x)])[None]
    strong, compared = options(factor=2.0, side=9), 0
    for number in range(20):
        maps = [torch.stack([x, y, ramp])[None], field]
        places, vectors = targets.stretched(maps, ["l2", "direction"], strong, generator(100 * seed + number))
        down, across = places[0].diff(dim=1)[:, :, :-1], places[0].diff(dim=2)[:, :-1]
        area = across[0] * down[1] - across[1] * down[0]
        inside = (area > 0.2) & (area > area.max() - 1e-3)  # where the map was not mirrored
        along = across[2] * vectors[0, 0, :-1, :-1] + down[2] * vectors[0, 1, :-1, :-1]
        assert float((along.abs() * inside).max()) < 1e-2
        compared += int(inside.sum())
    assert compared > 500


def test_noise_has_the_shares_of_labels_and_the_histogram_of_values() -> None:
    ids = torch.cat([torch.full((1, 1, 40, 10), 2.0), torch.zeros(1, 1, 40, 30)], 3)
    drawn = targets.pure(ids, "l0", 32, generator())
    assert float((drawn == 2).float().mean()) == pytest.approx(0.25, abs=0.01)
    assert set(drawn.unique().tolist()) == {0, 2}
    steep = noise(1, 1, 40, 40) ** 4
    drawn = targets.pure(steep, "l2", 32, generator())
    wanted = steep.flatten().quantile(torch.tensor([0.25, 0.5, 0.75]))
    assert torch.allclose(drawn.flatten().quantile(torch.tensor([0.25, 0.5, 0.75])), wanted, atol=0.03)


def test_perturbed_maps_are_like_crops_of_them() -> None:
    perturbed = options(chances=(1.0, 0.0, 0.0), side=40)
    for kind in KINDS:
        whole = values_of(kind, 40, 40)
        (drawn,) = targets.draw([whole], [DISTANCES[kind]], perturbed, generator(1))
        apart = 1 - (drawn * whole).sum(1).abs() if kind == "orientation" else (drawn - whole).abs().clamp(max=1)
        assert 0.005 < float(apart.mean()) < 0.4


# What is compared


@pytest.mark.parametrize("flips", [False, True])
def test_exemplars_are_turned_where_directions_are_asked_for(flips: bool) -> None:
    """What is compared with covers all directions, a quarter of a half turn apart; other maps need one copy."""
    field = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1).expand(1, 2, 40, 44)
    asked = replace(task(), guides=(Guide("orientation", (field,), field, distance="direction"),))
    every = copies.copies(asked, flips, False)
    assert len(every) == copies.ANGLES * (1 + flips)
    for seed in range(8):
        turns = []
        for place in copies.draw(every, 0, generator(seed)):
            x, y = every[place].maps[0][0, :, 9, 9].tolist()
            turns.append(math.atan2(y, x) % math.pi / math.pi * 8)
        steps = sorted(round(turn, 3) % 8 for turn in turns)
        assert steps in ([0, 2, 4, 6], [1, 3, 5, 7])
    plain = copies.copies(task(), flips, True)
    assert len(plain) == 4 * (1 + flips)
    assert {len(copies.draw(plain, 0, generator(seed))) for seed in range(8)} == {1}


def test_guided_correspondence_follows_the_target() -> None:
    """A crop under its own map costs less than under the reversed one."""
    asked = task(h=48, w=48)
    every = copies.copies(asked, False, False)
    prepared = copies.prepare(recipe.OBJECTIVES, asked, every)
    crop, wanted = asked.exemplars[0].image[..., :32, :32], asked.guides[0].target[..., :32, :32]

    def value(maps: Sequence[Tensor]) -> float:
        return float(prepared.values([0], crop, maps, Setup(generator()))[0])

    assert value([wanted]) < value([1 - wanted])


# Training


@pytest.mark.parametrize("kinds", [("labels",), ("progression",), ("orientation",), ("labels", "orientation")])
def test_every_parameter_counts(kinds: tuple[str, ...]) -> None:
    """Each gets a gradient, in both stages."""
    run = built(*kinds, steps=2, mixed=0.0)
    for number, words in enumerate(({"matching", "perceptual"}, {"correspondence"})):
        losses = run.step(number)
        assert set(losses) == {"discriminator", "adversarial", "texture", *words}
        for module in run.modules.values():
            check_learning(module)


def test_later_steps_rebuild_some_crops_too() -> None:
    run = built(first=0.0, mixed=0.5)
    kinds = ["matching" in run.step(number) for number in range(12)]
    assert 2 <= sum(kinds) <= 10


@pytest.mark.parametrize("kinds", [("progression",), ("labels", "orientation")])
def test_chance_is_the_runs_own(kinds: tuple[str, ...]) -> None:
    check_chance(lambda: training(*kinds))


@pytest.mark.parametrize("normalisation", ["positional", "batch"])
def test_a_resumed_run_is_the_uninterrupted_one(normalisation: str) -> None:
    check_resumed(lambda: training(batch=2, normalisation=normalisation))


def test_pictures_follow_their_maps() -> None:
    """After some steps on red stripes of one label and blue ones of another, any map is painted in red and blue."""
    ids = (torch.arange(48) % 24 < 12).float().expand(1, 1, 48, 48)
    image = COLOURS[ids[0, 0].long()].movedim(2, 0)[None] * (0.8 + 0.2 * noise(1, 1, 48, 48))
    labels = Guide("labels", (ids,), ids, distance="l0", palette=COLOURS[:2])
    asked = Task((Exemplar("a", image),), (48, 48), guides=(labels,))
    words = chosen(steps=40, rate=0.004)
    run = recipe.build(asked, words, generator())
    before = run.measure()
    for number in range(words.steps):
        run.step(number)
    assert run.measure() < 0.6 * before
    net = run.modules["net"].eval()
    assert isinstance(net, Generator)
    wanted = (noise(1, 1, 3, 4, seed=3) > 0.5).float()
    wanted = wanted.repeat_interleave(16, 2).repeat_interleave(16, 3)
    out = painted(net, torch.cat([1 - wanted, wanted], 1))
    blue = (out[:, 2:] > out[:, :1]).float()
    assert float((blue == wanted).float().mean()) > 0.9


@pytest.mark.parametrize(("kinds", "side", "size"), [(KINDS, 40, (40, 44)), (("labels",), 32, (32, 36))])
def test_sheets_show_exemplar_maps_and_pictures(kinds: tuple[str, ...], side: int, size: tuple[int, int]) -> None:
    """All are reduced alike."""
    first, second = built(*kinds, side=side).sample()
    assert first.shape == (1, 3, size[0], (len(kinds) + 2) * size[1])
    assert second.shape == (1, 3, size[0], (len(kinds) + 1) * size[1])


def test_vgg19_may_look_on() -> None:
    words = chosen(**VGG, steps=2, mixed=0.0, texture=0.0)
    run = recipe.build(task(weights=vgg_weights(recipe.needs(words)["vgg19"])), words, generator())
    assert set(run.step(0)) == {"discriminator", "adversarial", "matching", "perceptual"}
    assert set(run.step(1)) == {"discriminator", "adversarial", "correspondence"}
    assert recipe.needs(chosen()) == {}


def test_without_the_package_for_perlin_noise_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "noise", None)
    with pytest.raises(UsageError, match="perlin maps need the package noise; pip install"):
        training()
    run = built(perturbed=0.0, perlin=0.0, first=0.0, mixed=0.0)
    assert "correspondence" in run.step(0)


def test_too_small_an_exemplar_is_an_error() -> None:
    with pytest.raises(InputError, match=r"a is 44x40, which has no room for crops of 41x41; --set crop=40 fits"):
        training(crop=41)


def test_the_former_key_of_a_setting_still_counts() -> None:
    """In presets, in `--set`, and in what checkpoints hold."""
    held = settings.plain(recipe.Settings(discriminator_rate=0.01))
    held["critic_rate"] = held.pop("discriminator_rate")
    for values, rate in (({}, 0.01), ({"critic_rate": 0.02}, 0.02), ({"discriminator_rate": 0.03}, 0.03)):
        read = preset.build("old", "", "spade", held, values)
        assert read.settings.discriminator_rate == read.values["discriminator_rate"] == rate


def test_estimates_grow_with_what_is_asked() -> None:
    each = ({}, {"crop": 96}, {"crop": 96, "width": 16})
    check_growing(*(recipe.estimate(task(), chosen(**words)) for words in each))


# Use


def synthesized(asked: Task, side: int = 4096, seed: int = 0) -> Tensor:
    words = feedforward.Settings(steered=side)
    assert feedforward.refuses(asked, words) is None
    return finished(feedforward, asked, words, seed).image


def asked_of(kinds: Sequence[str], size: tuple[int, int], **values: Any) -> Task:
    """Another target for the maps that a model knows."""
    plain = task(*kinds)
    guides = tuple(replace(guide, target=values_of(guide.name, *size)) for guide in plain.guides)
    return replace(plain, guides=guides, size=size, model=model_of(built(*kinds), "spade", chosen(), guides), **values)


@pytest.mark.parametrize(
    ("kinds", "wraps"),
    [(("labels",), False), (("progression",), False), (("progression",), True), (("labels", "orientation"), False)],
)
def test_pictures_do_not_depend_on_the_windows(kinds: tuple[str, ...], wraps: bool) -> None:
    asked = asked_of(kinds, (50, 148), tile=(False, wraps))
    whole = synthesized(asked)
    assert whole.shape == (1, 3, 50, 148)
    assert torch.allclose(whole, synthesized(asked, side=18), atol=1e-5)
    assert not torch.allclose(whole, synthesized(asked, seed=1), atol=1e-2)
    other = replace(asked, guides=tuple(replace(g, target=g.target.flip(3)) for g in asked.guides))
    assert not torch.allclose(whole, synthesized(other), atol=1e-2)


def test_what_is_stored_makes_what_was_shown() -> None:
    """And labels are known by their colours, whatever their ids."""
    run = built("labels")
    run.step(0)
    order = torch.tensor([2, 0, 1])
    guide = guide_of("labels")
    renamed = replace(guide, target=order.argsort()[guide.target.long()].float(), palette=COLOURS[order])
    asked = replace(task("labels"), model=model_of(run, "spade", chosen(), (guide,)), guides=(renamed,))
    net = run.modules["net"].eval()
    assert isinstance(net, Generator)
    key = int(torch.randint(1 << 62, (), generator=generator()))
    assert torch.equal(synthesized(asked), painted(net, one_hot(guide.target, 3), key=key))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"guides": ()}, "use `texsynth control` with --progression"),
        ({"guides": (guide_of("orientation"),)}, "was trained with: --progression, and nothing else"),
        ({"guides": (replace(guide_of("progression"), strength=torch.ones(1, 1, 40, 44)),)}, "--guide-weight-map"),
        ({"hole": torch.ones(1, 1, 40, 44, dtype=torch.bool)}, "fills no holes"),
        ({"blend": noise(1, 1, 40, 44)}, "blends no exemplars"),
        ({"tile": BOTH, "size": (41, 44)}, "tiles at multiples of 4 pixels with this model; give --size 44x40"),
    ],
)
def test_it_refuses_what_it_cannot_do(change: dict[str, Any], words: str) -> None:
    asked = replace(asked_of(("progression",), (40, 44)), **change)
    assert words in str(feedforward.refuses(asked, feedforward.Settings()))


def test_a_label_that_the_model_never_saw_is_named() -> None:
    asked = asked_of(("labels",), (40, 44))
    strange = replace(asked.guides[0], palette=torch.cat([COLOURS[:2], torch.ones(1, 3)]))
    assert "#ffffff" in str(feedforward.refuses(replace(asked, guides=(strange,)), feedforward.Settings()))


def test_a_large_picture_takes_little_more_memory_than_itself() -> None:
    asked = asked_of(("progression",), (40, 44))
    costs = [feedforward.estimate(replace(asked, size=(n, n)), feedforward.Settings()) for n in (1024, 8192)]
    assert costs[1].memory - costs[0].memory < 4 * 12 * 8192**2
    assert 0 < costs[0].seconds < costs[1].seconds


def test_discriminators_need_not_count_for_drawn_maps() -> None:
    """With a factor of 0 their weight changes nothing where there is no true picture; with 1 it does."""
    ends = []
    for unpaired, adversarial in ((0.0, 1.0), (0.0, 50.0), (1.0, 1.0), (1.0, 50.0)):
        run = built(first=0.0, mixed=0.0, unpaired=unpaired, adversarial=adversarial)
        run.step(0)
        ends.append(torch.cat([p.flatten() for p in run.modules["net"].parameters()]))
    assert torch.equal(ends[0], ends[1]) and not torch.equal(ends[2], ends[3])
