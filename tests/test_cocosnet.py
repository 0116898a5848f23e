"""CoCosNet: its match, its pairs, its losses, how it is trained, and what its method makes."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from models import finished, model_of, one_hot
from networks import vgg_weights
from pictures import generator, noise, spots
from texsynth import settings
from texsynth.errors import InputError, UsageError
from texsynth.learned.cocosnet import losses, method, network, pairs, recipe
from texsynth.learned.cocosnet import places as place_finding
from texsynth.learned.cocosnet.match import descriptors
from texsynth.learned.cocosnet.network import CoCosNet, Shape, Side, WarpSource, WarpTarget, compared, gather, warped
from texsynth.learned.cocosnet.places import KeyGrid, find_places, grid, taken
from texsynth.learned.shared import loading
from texsynth.learned.shared.conv import initialise
from texsynth.task import Canvas, Exemplar, Guide, Task
from texsynth.training.recipes import Training
from texsynth.weights.trained import Model
from training import check_growing, check_learning, check_resumed

SMALL = {
    "crop": 16, "levels": 2, "width": 4, "hidden": 4, "adaptor": 4, "descriptor": 8, "discriminator_width": 4,
    "discriminator_layers": 2, "steps": 8,
}  # fmt: skip
PALETTE = torch.tensor([[0.0, 0, 0], [1, 1, 1]])
PAIR_SETTINGS = pairs.PairSettings(crop=16, paired=0.5, bend=10, stretch=0.2)


def chosen(**values: Any) -> recipe.Settings:
    return settings.make(recipe.Settings, {**SMALL, **values}, "test")


def halves(h: int, w: int, at: float = 0.5) -> Tensor:
    """Label 0 above, label 1 below a slanted line."""
    y, x = torch.meshgrid(torch.linspace(0, 1, h), torch.linspace(0, 1, w), indexing="ij")
    return (y + 0.2 * x > at + 0.1).float()[None, None]


def task(size: tuple[int, int] = (36, 40), **values: Any) -> Task:
    """Two exemplars of two labels, whose textures differ in tone."""
    ids = halves(36, 40), halves(40, 34)
    images = [spots(i.shape[2], i.shape[3], seed=n) * 0.4 + i * 0.5 for n, i in enumerate(ids)]
    exemplars = tuple(Exemplar(f"e{n}", image) for n, image in enumerate(images))
    guide = Guide("labels", ids, halves(*size, 0.3), distance="l0", palette=PALETTE)
    return Task(exemplars, size, guides=(guide,), **values)


def trained(count: int = 0, **values: Any) -> tuple[Training, torch.Generator]:
    rng = generator()
    training = recipe.build(task(), chosen(**values), rng)
    for number in range(count):
        training.step(number)
    return training, rng


def model(**values: Any) -> Model:
    return model_of(trained(**values)[0], "cocosnet", chosen(**values), task().guides)


def net_of(**values: Any) -> CoCosNet:
    return initialise(CoCosNet(chosen(**values), 2), generator(), 1.0).eval().requires_grad_(False)


def cells(h: int, w: int) -> Tensor:
    """The place of each cell, (1, 2, h, w)."""
    return grid((h, w), torch.device("cpu"))


def side(h: int, w: int, seed: int = 0) -> Side:
    return Side(noise(1, 4, h, w), noise(1, 8, h, w, seed=seed), noise(1, 2, h, w))


# the match


@pytest.mark.parametrize("place", [0.0, 0.3])
def test_an_exemplar_matched_with_itself_stays(place: float) -> None:
    shape, one, values = Shape(place=place), side(7, 9), noise(1, 3, 7, 9, seed=3)
    queries, keys = compared(one, one, cells(7, 9), shape)
    torch.testing.assert_close(gather(queries, keys, shape, generator())(values), values, atol=0.02, rtol=0)
    torch.testing.assert_close(descriptors(queries), queries, atol=1e-4, rtol=0)


def test_codes_of_places_tell_distance() -> None:
    """Of length 1; the product falls with the first cells of distance, along both axes."""
    code = place_finding.code(cells(12, 20), (12, 20))[0]
    torch.testing.assert_close(code.norm(dim=0), torch.ones(12, 20))
    torch.testing.assert_close(code.mean(0), torch.zeros(12, 20), atol=1e-6, rtol=0)
    for products in ((code[:, 5:6, 0:4] * code[:, 5:6, :1]).sum(0)[0], (code[:, 0:4, 5] * code[:, :1, 5]).sum(0)):
        assert bool((products.diff() < -0.01).all())


def test_cells_without_labels_of_their_own_keep_together() -> None:
    """Where all descriptors are alike, without places each cell is the mean of all; with them, copied in one piece."""
    flat, other = torch.ones(1, 8, 8, 8) * torch.arange(8.0).view(1, 8, 1, 1), side(8, 8)
    target, exemplar = replace(other, features=flat), replace(other, features=flat)
    values, at = noise(1, 3, 8, 8, seed=2), cells(8, 8) // 2 + 2
    for place in (0.0, 0.5):
        shape = Shape(place=place)
        out = gather(*compared(target, exemplar, at, shape), shape, generator())(values)
        wanted = values[:, :, 2:6, 2:6].repeat_interleave(2, 2).repeat_interleave(2, 3) if place else values.mean()
        torch.testing.assert_close(out, torch.as_tensor(wanted).expand_as(out), atol=0.05, rtol=0)


def test_blocks_find_what_they_are_made_of() -> None:
    """A target of pieces of the exemplar gets their places, with nothing to choose from."""
    keys = noise(1, 8, 20, 24)
    queries = torch.cat([keys[:, :, 3:11, 5:13], keys[:, :, 9:17, 14:22]], 3)
    result = find_places(queries, KeyGrid.of(keys, noise(1, 3, 20, 24)), 0.0, generator(), blocks=(8,))
    corners = [torch.tensor(corner).view(1, 2, 1, 1) for corner in ([3, 5], [9, 14])]
    assert torch.equal(result, torch.cat([cells(8, 8) + corner for corner in corners], 3))


def test_blocks_that_fit_alike_go_on_from_each_other() -> None:
    """All descriptors are the same, so colours decide: what is next to a piece in the exemplar is put next to it."""
    flat = torch.arange(8.0).view(1, 8, 1, 1)
    colours = spots(30, 30)
    exemplar = KeyGrid.of(flat.expand(1, 8, 30, 30), colours)
    result = find_places(flat.expand(1, 8, 8, 24), exemplar, 0.1, generator(), blocks=(8,))
    steps = (taken(colours, result).diff(dim=3) ** 2).mean((0, 1, 2))
    assert float(steps[[7, 15]].mean()) < 3 * float(steps.mean())
    assert bool((result >= 0).all()) and bool((result < 30).all())


def test_blocks_meet_where_it_is_seen_least() -> None:
    """Two blocks under one label: the second takes some of the first's cells, and the meeting shows less for it."""
    flat = torch.ones(1, 4, 1, 1) / 2
    exemplar = KeyGrid.of(flat.expand(1, 4, 40, 24), noise(1, 3, 40, 24, seed=2))
    result = find_places(flat.expand(1, 4, 16, 32), exemplar, 0.5, generator(), blocks=(16,))
    apart = (result - cells(16, 32))[0]
    assert len(apart.flatten(1).unique(dim=1).T) >= 2
    border = (apart[:, :, 15] - apart[:, :, 16]).abs().sum(0) > 0
    assert not bool(border.all())  # the path leaves the straight border of the blocks


def test_places_that_may_not_be_used_are_not() -> None:
    keys, usable = noise(1, 8, 12, 12), torch.zeros(1, 1, 12, 12, dtype=torch.bool)
    usable[..., 6:] = True
    exemplar = KeyGrid.of(keys, noise(1, 3, 12, 12), usable)
    result = find_places(noise(1, 8, 6, 6, seed=1), exemplar, 0.0, generator(), (4, 2))
    assert float(usable[0, 0][tuple(result[0].long())].float().mean()) > 0.9


def test_large_grids_are_reduced_for_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place_finding, "DENSE_PAIRS", 100)
    exemplar = KeyGrid.of(noise(1, 8, 11, 15), noise(1, 3, 11, 15))
    result = find_places(noise(1, 8, 13, 9), exemplar, 0.1, generator())
    assert result.shape == (1, 2, 13, 9)
    assert bool((result >= 0).all()) and int(result[:, 0].max()) < 11 and int(result[:, 1].max()) < 15


def test_from_coarse_to_fine_is_nearly_dense(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = Shape(place=0.5)
    y, x = cells(24, 20)[0] / 24
    smooth = torch.stack([y, 1 - y, x, 1 - x, (3 * y).sin(), (3 * x).cos()])[None]
    one = replace(side(24, 20), features=smooth)
    queries, keys = compared(one, one, cells(24, 20), shape)
    values = noise(1, 3, 24, 20)
    dense = gather(queries, keys, shape, generator())(values)
    monkeypatch.setattr(network, "DENSE_PAIRS", 0)
    monkeypatch.setattr(network, "COARSEST_SIDE", 8)
    torch.testing.assert_close(gather(queries, keys, shape, generator())(values), dense, atol=0.05, rtol=0)


@pytest.mark.parametrize("size", [(96, 160), (30, 41), (5, 16)])
def test_pictures_have_the_size_of_their_labels(size: tuple[int, int]) -> None:
    net, image = net_of(), spots(36, 42)
    exemplar = WarpSource(image, one_hot(halves(36, 42)))
    warp = warped(net, WarpTarget(one_hot(halves(*size))), exemplar, generator())
    assert warp.shape == (1, 5, *size)
    assert network.translated(net, warp, one_hot(halves(*size)), generator()).shape == (1, 3, *size)


def test_a_warp_is_made_of_whole_cells() -> None:
    """With the places of a start it is the exemplar again; every pixel of a sharp warp is one of the exemplar's."""
    net, image = net_of(place=0.9, temperature=1e-4), noise(1, 3, 32, 40)
    labels, start = one_hot(halves(32, 40)), cells(32, 40)
    exemplar = WarpSource(image, labels)
    again = warped(net, WarpTarget(labels, start), exemplar, generator())[:, :3]
    assert float((again - image).abs().mean()) < 0.01
    unknown = torch.full_like(start, torch.nan)
    free = warped(net, WarpTarget(labels, unknown), exemplar, generator())
    torch.testing.assert_close(free, warped(net, WarpTarget(labels), exemplar, generator()))


def test_a_warp_is_cut_along_the_labels() -> None:
    """Where a pixel's own label is another one it gets the colour that is near with its label; others stay."""
    wanted, rough = one_hot(halves(24, 24)), one_hot(F.interpolate(halves(6, 6), (24, 24), mode="nearest"))
    colours = torch.where(rough[:, 1:] > 0, 0.9, 0.1).expand(1, 3, 24, 24)
    out = network.fitted(torch.cat([colours, rough], 1), wanted)
    assert not torch.equal(rough, wanted)
    torch.testing.assert_close(out, torch.where(wanted[:, 1:] > 0, 0.9, 0.1).expand(1, 3, 24, 24))
    one = torch.zeros_like(rough).index_fill(1, torch.tensor([0]), 1.0)  # nothing near has the other label
    torch.testing.assert_close(network.fitted(torch.cat([colours, one], 1), wanted), colours)


# pairs


@pytest.mark.parametrize("flips", [False, True])
def test_pairs_know_their_true_match(flips: bool) -> None:
    """Cells of the exemplar at the places of a pair show what the target does, labels too; elsewhere it is unknown."""
    smooth = F.interpolate(noise(1, 3, 5, 6), (64, 72), mode="bicubic").clamp(0, 1)
    sample = pairs.Sample(smooth, halves(64, 72))
    rules = replace(PAIR_SETTINGS, crop=32, paired=1.0, flips=flips, turns=flips)
    count = 0
    for number in range(10):
        pair = pairs.draw([sample], rules, generator(number))
        assert pair.places is not None
        inside = ~pair.places.isnan().any(1)[0]
        count += int(inside.sum())
        target, exemplar = (F.avg_pool2d(x.image, 4)[0] for x in (pair.target, pair.exemplar))
        at = pair.places[0].nan_to_num().round().long().clamp(0, 7)
        assert float((target - exemplar[:, at[0], at[1]])[:, inside].abs().mean()) < 0.04
        labels = F.avg_pool2d(pair.exemplar.labels, 4)[0, 0][at[0], at[1]]
        assert float((F.avg_pool2d(pair.target.labels, 4)[0, 0] - labels)[inside].abs().mean()) < 0.15
    assert count > 200


def test_unpaired_crops_are_apart_or_of_another_picture() -> None:
    samples = [pairs.Sample(torch.full((1, 3, 40, 40), n / 4), halves(40, 40)) for n in range(3)]
    drawn = [pairs.draw(samples, replace(PAIR_SETTINGS, paired=0.0), generator(n)) for n in range(40)]
    assert all(pair.places is None for pair in drawn)
    tones = {(float(p.target.image.mean()), float(p.exemplar.image.mean())) for p in drawn}
    assert len({a for a, _ in tones}) == 3 and {a == b for a, b in tones} == {True, False}


def test_labels_stay_labels_when_bent() -> None:
    ids = (noise(1, 1, 40, 40) * 4).long().float()
    sample, rules = pairs.Sample(noise(1, 3, 40, 40), ids), replace(PAIR_SETTINGS, turns=True)
    for number in range(10):
        pair = pairs.draw([sample], rules, generator(number))
        assert set(pair.exemplar.labels.unique().tolist()) <= {0.0, 1.0, 2.0, 3.0}
        assert pair.exemplar.image.shape == (1, 3, 16, 16)


# losses


def contextual(output: Tensor, exemplar: Tensor) -> float:
    return float(losses.contextual({"x": output}, {"x": exemplar}, 1, 4096, generator()))


def test_the_contextual_loss_asks_what_is_there_and_not_where() -> None:
    """Each output position wants one of the exemplar's, not the other way round: parts of an exemplar are enough."""
    image = noise(1, 6, 8, 8) - 0.5
    order = torch.randperm(64, generator=generator())
    moved = image.flatten(2)[:, :, order].view_as(image)
    other = noise(1, 6, 8, 8, seed=1) - 0.5
    assert contextual(image, image) < 1e-3
    assert contextual(moved, other) == pytest.approx(contextual(image, other), rel=1e-4)
    assert contextual(image[:, :, :4, :2], image) < 1e-3
    picture = spots(16, 16)
    picture = picture - picture.mean((2, 3), keepdim=True)
    shift = torch.tensor([1.0, -1, 0]).view(1, 3, 1, 1)
    values = [contextual(picture + share * shift, picture) for share in (0, 0.02, 0.6)]
    assert values[0] < values[1] < values[2]


def test_warped_masks_count_labels_that_both_have() -> None:
    wanted = one_hot(halves(8, 8))
    assert float(losses.mask_warp(wanted, wanted, wanted)) == 0
    wrong = losses.mask_warp(wanted.flip(1) * 0.9 + wanted * 0.1, wanted, wanted)
    assert float(wrong) == pytest.approx(2.302585, rel=1e-4)
    first = one_hot(torch.zeros(1, 1, 8, 8))
    some = losses.mask_warp(first, wanted, first)  # what asks for the second label cannot be had
    assert float(some) == 0
    none = losses.mask_warp(first.clone().requires_grad_(), first.flip(1), first)
    none.backward()
    assert float(none.detach()) == 0


def test_copies_show() -> None:
    image = noise(1, 3, 12, 12)
    assert losses.copied(image, image) == pytest.approx(1)
    assert abs(losses.copied(noise(1, 3, 12, 12, seed=1), image)) < 0.3


# training


def test_every_parameter_counts() -> None:
    """Both networks' get a gradient after one step of a true and of a disjoint pair."""
    training, _ = trained(batch=4, paired=0.5, self_warp=1.0, perceptual=1.0)
    log = training.step(0)
    assert all(log[name] != 0 for name in (*recipe.TERMS, "discriminator", "warp_copy", "image_copy", "truth_copy"))
    for module in training.modules.values():
        check_learning(module)


def test_training_finds_the_labels() -> None:
    """The warp comes to take each label from where the exemplar has it."""
    training, _ = trained(place=0.0, steps=100, adversarial=0.0, matching=0.0, contextual=0.0, truth=0.0)
    net = training.modules["net"]
    assert isinstance(net, CoCosNet)
    samples = [pairs.Sample(e.image, g) for e, g in zip(task().exemplars, task().guides[0].sources, strict=True)]
    scenes = [
        recipe.scene_of(pairs.draw(samples, PAIR_SETTINGS, generator(n)), 2, False, generator()) for n in range(12)
    ]

    def lost() -> float:
        labels = [recipe.render(net, scene, generator()).labels.detach() for scene in scenes]
        shares = [[F.avg_pool2d(x, 4) for x in (scene.target, scene.exemplar)] for scene in scenes]
        return sum(float(losses.mask_warp(warp, *both)) for warp, both in zip(labels, shares, strict=True))

    before = lost()
    for number in range(30):
        training.step(number)
    assert lost() < 0.5 * before


@pytest.mark.parametrize("values", [{}, {"batch": 2, "noise": 1, "carry": False, "masked": 1, "masks": False}])
def test_a_resumed_run_is_the_uninterrupted_one(values: dict[str, Any]) -> None:
    check_resumed(lambda: trained(**values))


def test_rates_fall_in_the_second_half() -> None:
    for count, rate in ((4, 1e-3), (7, 1e-3 * 0.5)):
        optimiser = trained(count)[0].optimisers["generator"]
        assert optimiser.param_groups[0]["lr"] == pytest.approx(rate)


def test_losses_may_look_through_vgg() -> None:
    layers = ["relu1_1", "relu2_1"]
    words = chosen(features="vgg19", layers=layers, context_layers=layers, context_patch=1)
    assert recipe.needs(words) == {"vgg19": tuple(layers)}
    assert recipe.build(task(weights=vgg_weights(layers)), words, generator()).step(0)["contextual"] > 0


def test_samples_show_the_way_to_the_picture() -> None:
    training, _ = trained()
    exemplar, labels, warp, image = training.sample()
    assert exemplar.shape == labels.shape == warp.shape == image.shape == (1, 3, 36, 40)
    assert torch.equal(labels[:, :1], halves(36, 40).flip(3))
    assert training.measure() > 0


def test_exemplars_without_room_for_crops_are_errors() -> None:
    with pytest.raises(InputError, match=r"40x36 in training, has no room for two crops of 24 .* crop=20 fits"):
        trained(crop=24)
    asked = task()
    holed = replace(asked.exemplars[0], valid=torch.arange(40).expand(1, 1, 36, 40) >= 4)
    with pytest.raises(InputError, match="e0 has parts that may not be used"):
        recipe.build(replace(asked, exemplars=(holed, asked.exemplars[1])), chosen(), generator())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"window": 2}, "window = 2.*try 3"),
        ({"layers": ["relu1_1"]}, "windows have no layer 'relu1_1'; known are full"),
    ],
)
def test_settings_that_contradict_are_errors(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        chosen(**values)


def test_estimates_grow_with_what_is_asked() -> None:
    check_growing(*(recipe.estimate(task(), chosen(crop=crop)) for crop in (16, 128)))


# use


def synthesised(asked: Task) -> Canvas:
    return finished(method, asked, method.Settings())


def single(size: tuple[int, int] = (36, 40), **values: Any) -> Task:
    asked = task(size, **values)
    guide = replace(asked.guides[0], sources=asked.guides[0].sources[:1])
    return replace(asked, exemplars=asked.exemplars[:1], guides=(guide,))


@pytest.mark.parametrize("tile", [(False, False), (True, True)])
def test_it_makes_pictures_and_shows_the_warp(tile: tuple[bool, bool]) -> None:
    asked = single((24, 48), tile=tile, model=model())
    assert method.refuses(asked, method.Settings()) is None
    canvas = synthesised(asked)
    for picture in (canvas.image, canvas.shown["warp"]):
        assert picture.shape == (1, 3, 24, 48)
        assert picture.isfinite().all() and float(picture.min()) >= 0 and float(picture.max()) <= 1
    assert not torch.equal(canvas.image, canvas.shown["warp"])
    assert torch.equal(canvas.image, synthesised(asked).image)


def test_labels_are_known_by_their_colours() -> None:
    """Ids in another order are the same labels."""
    asked = single(model=model())
    guide = asked.guides[0]
    swapped = replace(guide, sources=(1 - guide.sources[0],), target=1 - guide.target, palette=PALETTE.flip(0))
    assert torch.equal(synthesised(asked).image, synthesised(replace(asked, guides=(swapped,))).image)


def test_an_edit_of_nothing_is_the_picture() -> None:
    """Where each pixel starts from its own place, and labels are the same, the warp is the exemplar."""
    asked = single(model=model(place=0.9, temperature=1e-3))
    start = cells(*asked.size)
    guide = replace(asked.guides[0], target=asked.guides[0].sources[0])
    warp = synthesised(replace(asked, start=start, guides=(guide,))).shown["warp"]
    assert float((warp - asked.exemplars[0].image).abs().mean()) < 0.01


def test_nothing_is_taken_from_where_it_may_not() -> None:
    asked = single(model=model())
    image, valid = asked.exemplars[0].image * 0.5, torch.ones(1, 1, 36, 40, dtype=torch.bool)
    image[..., 24:], valid[..., 24:] = 1, False
    warp = synthesised(replace(asked, exemplars=(Exemplar("a", image, valid),))).shown["warp"]
    assert float((warp > 0.6).float().mean()) < 0.02


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"guides": ()}, "follows labels only"),
        ({"init": spots(36, 40)}, "starts from its exemplar"),
        ({"blend": torch.ones(1, 1, 36, 40)}, "blends no exemplars"),
        ({"exemplars": task().exemplars}, "the look of one exemplar"),
        ({"tile": (True, False), "size": (38, 40)}, "multiples of 4 pixels.*--size 40x40"),
        ({"guides": (replace(task().guides[0], palette=torch.tensor([[0.0, 0, 0], [1, 0, 0]])),)}, "not #ff0000"),
    ],
)
def test_what_it_cannot_do_it_refuses(change: dict[str, Any], words: str) -> None:
    assert re.search(words, str(method.refuses(replace(single(model=model()), **change), method.Settings())))


@pytest.mark.parametrize("labelled", [False, True])
def test_a_picture_can_be_described(labelled: bool) -> None:
    """One unit descriptor a cell, of what the matcher compares."""
    image, ids, here = spots(30, 42), halves(30, 42), torch.device("cpu")
    result = network.describe(model(), image, ids if labelled else None, here)
    assert result.shape == (1, 8 * 9, 8, 11)
    torch.testing.assert_close(result.norm(dim=1), torch.ones(1, 8, 11), atol=1e-3, rtol=0)
    shape = loading.shaped(Shape, model())
    net = loading.loaded(lambda: CoCosNet(shape, 2), model(), here)
    labels = one_hot(ids) if labelled else torch.zeros(1, 2, 30, 42)
    torch.testing.assert_close(result, descriptors(net.matcher.exemplar(image, labels).features, 3))
