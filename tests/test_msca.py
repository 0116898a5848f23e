"""Masked spatial-channel attention: its algebra, its training, its use, and what it shows."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
import torch
from scipy.cluster.hierarchy import linkage
from torch import Tensor
from torch.nn import functional as F

from models import finished, model_of, one_hot
from networks import vgg_weights
from pictures import generator, noise, spots
from texsynth import settings
from texsynth.errors import InputError
from texsynth.learned.cocosnet.pairs import disjoint
from texsynth.learned.msca import attention, method, pairs, recipe
from texsynth.learned.msca import network as msca
from texsynth.learned.msca.network import MscaNet, RegionAttention, Shape
from texsynth.learned.shared.conv import initialise
from texsynth.task import Canvas, Exemplar, Guide, Task
from texsynth.training.recipes import Training
from texsynth.weights.trained import Model
from training import check_chance, check_growing, check_learning, check_resumed

LOSSES = ("adversarial", "matching", "perceptual", "texture")
SMALL = {"width": 4, "hidden": 4, "widest": 2, "levels": 2, "regions": 3, "channels": [4, 5, 6], "label_channels": 3}
FAST = {**SMALL, "discriminator_width": 4, "discriminator_layers": 2, "crop": 16, "steps": 8, "draws": 2}
PALETTE = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
EVEN = torch.ones(1, 1, 1, 1)


def shape(**values: Any) -> Shape:
    return settings.make(Shape, {**SMALL, **values}, "test")


def net_of(labels: int = 2, seed: int = 0, **values: Any) -> MscaNet:
    return initialise(MscaNet(shape(**values), labels), generator(seed), 1.0).eval().requires_grad_(False)


def ids(h: int, w: int, seed: int = 0) -> Tensor:
    """Two labels in blobs, (1, 1, h, w)."""
    return (spots(h, w, seed)[:, :1] > 0.5).float()


def chosen(**values: Any) -> recipe.Settings:
    return settings.make(recipe.Settings, {**FAST, **values}, "test")


def task(*sizes: tuple[int, int], target: tuple[int, int] = (32, 40), **values: Any) -> Task:
    """Spots whose labels are where they are light."""
    sides = sizes or ((40, 44),)
    exemplars = tuple(Exemplar(f"e{n}", spots(h, w, n)) for n, (h, w) in enumerate(sides))
    sources = tuple((e.image[:, :1] > 0.5).float() for e in exemplars)
    guide = Guide("labels", sources, ids(*target, seed=9), distance="l0", palette=PALETTE)
    return Task(exemplars, target, guides=(guide,), **values)


def training(seed: int = 0, asked: Task | None = None, **values: Any) -> tuple[Training, torch.Generator]:
    rng = generator(seed)
    return recipe.build(asked or task(), chosen(**values), rng), rng


def built(asked: Task | None = None, **values: Any) -> Training:
    return training(asked=asked, **values)[0]


def stored(run: Training, **values: Any) -> Model:
    return model_of(run, "msca", chosen(**values), task().guides)


@pytest.fixture(scope="module")
def model() -> Model:
    return stored(built())


def used(asked: Task, seed: int = 0, **values: Any) -> Canvas:
    return finished(method, asked, settings.make(method.Settings, values, "test"), seed)


def blended(share: float | Tensor, width: int) -> Tensor:
    """The shares of two exemplars, (1, 2, 32, width): that of the first one, on its own or along a row."""
    first = torch.as_tensor(share).expand(1, 1, 32, width)
    return torch.cat([first, 1 - first], 1)


def styled(net: MscaNet, seed: int, size: tuple[int, int] = (16, 24)) -> list[msca.Pooled]:
    return net.style(spots(*size, seed), one_hot(ids(*size, seed)))


def test_attention_adds_up() -> None:
    """Where to look, over positions; what is wanted, over regions; and masks lie between 0 and 1."""
    regions = initialise(RegionAttention(4, 3, shape()), generator(), 1.0)
    image, labels = noise(2, 4, 5, 7), noise(2, 3, 5, 7, seed=1)
    pooled = regions.pool(image, labels)
    alpha = regions.logits(image, labels).flatten(2).softmax(2)
    assert torch.allclose(alpha @ image.flatten(2).transpose(1, 2), pooled.vectors)
    beta = regions.shares(labels)
    assert beta.shape == (2, 3, 5, 7) and torch.allclose(beta.sum(1), torch.ones(2, 5, 7))
    scores = regions.scores(msca.averaged(labels), pooled.summary).detach()
    assert scores.shape == (2, 3) and float(scores.min()) > 0 and float(scores.max()) < 1


def test_the_order_of_regions_does_not_matter() -> None:
    net, order = net_of(), torch.tensor([2, 0, 1])
    labels = net.label_features(one_hot(ids(16, 20, 5)))
    before = net.aligned([styled(net, 1)], labels, EVEN)
    for regions in net.regions:
        assert isinstance(regions, RegionAttention) and regions.mask is not None
        for conv in (regions.where, regions.wanted, regions.mask[2]):
            conv.weight.copy_(conv.weight[order])
            conv.bias.copy_(conv.bias[order])
    after = net.aligned([styled(net, 1)], labels, EVEN)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(before, after, strict=True))


def test_one_region_of_even_attention_is_global_average_pooling() -> None:
    full, gap = net_of(regions=1), net_of(attention="gap")
    gap.load_state_dict(full.state_dict(), strict=False)
    for regions in full.regions:
        assert isinstance(regions, RegionAttention) and regions.where is not None and regions.mask is not None
        regions.where.weight.zero_()
        regions.mask[2].bias.fill_(100.0)
    labels = full.label_features(one_hot(ids(16, 20, 5)))
    aligned = [net.aligned([styled(net, 1)], labels, EVEN) for net in (full, gap)]
    means = [x.mean((2, 3), keepdim=True) for x in gap.look(gap.image_inputs(spots(16, 24, 1), None))]
    for one, other, mean in zip(*aligned, means, strict=True):
        assert torch.allclose(one, other, atol=1e-5)
        assert torch.allclose(other, mean.expand_as(other), atol=1e-5)


def test_spatial_interpolation_is_the_blend_of_both() -> None:
    """Exactly, of every scale; and so it may go beyond 0 and 1."""
    net = net_of()
    first, second = styled(net, 1), styled(net, 2, (20, 16))
    labels = net.label_features(one_hot(ids(16, 20, 5)))
    alone = [net.aligned([style], labels, EVEN) for style in (first, second)]
    share = noise(1, 1, 16, 20) * 2 - 0.5
    both = net.aligned([first, second], labels, torch.cat([share, 1 - share], 1))
    for mixed, one, other in zip(both, *alone, strict=True):
        g = F.adaptive_avg_pool2d(share, mixed.shape[2:])
        assert torch.allclose(mixed, g * one + (1 - g) * other, atol=1e-5)
    for number, share in enumerate((torch.ones(1, 1, 16, 20), torch.zeros(1, 1, 16, 20))):
        got = net.aligned([first, second], labels, torch.cat([share, 1 - share], 1))
        assert all(torch.equal(a, b) for a, b in zip(got, alone[number], strict=True))


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_global_interpolation_is_one_softmax_over_both(share: float) -> None:
    """As published: log(g / (1 - g)) on one exemplar's logits, and features and logits joined along the width."""
    regions = initialise(RegionAttention(4, 3, shape()), generator(), 1.0)
    images, labels = [noise(1, 4, 6, n, seed=n) for n in (5, 9)], [noise(1, 3, 6, n, seed=n + 1) for n in (5, 9)]
    logits = [regions.logits(*pair).flatten(2) for pair in zip(images, labels, strict=True)]
    joined = torch.cat([logits[0] + torch.tensor(share / (1 - share)).log(), logits[1]], 2).softmax(2)
    wanted = joined @ torch.cat([image.flatten(2) for image in images], 2).transpose(1, 2)
    pools = [regions.pool(*pair) for pair in zip(images, labels, strict=True)]
    w = msca.weights(pools, torch.tensor([share, 1 - share]), "plain")
    assert torch.allclose(sum(w[n][..., None] * pools[n].vectors for n in (0, 1)), wanted, atol=1e-6)
    even = msca.weights(pools, torch.tensor([share, 1 - share]), "normalised")
    assert torch.allclose(even[0], torch.tensor(share)) and torch.allclose(even[1], torch.tensor(1 - share))


@pytest.mark.parametrize("interpolation", msca.INTERPOLATIONS)
def test_global_shares_of_one_and_nothing_are_exact(interpolation: str) -> None:
    net = net_of()
    first, second = styled(net, 1), styled(net, 2, (20, 16))
    labels = net.label_features(one_hot(ids(16, 20, 5)))
    ends = net.aligned([first, second], labels, torch.tensor([1.0, 0.0]).view(1, 2, 1, 1), interpolation)
    assert all(torch.allclose(a, b) for a, b in zip(ends, net.aligned([first], labels, EVEN), strict=True))


def test_what_is_not_valid_does_not_count() -> None:
    """Neither pixels masked out, nor what fills up the last cells."""
    net = net_of(levels=0, channels=[4])
    image, labels = spots(16, 24), one_hot(ids(16, 24))
    valid = torch.ones(1, 1, 16, 24)
    valid[..., 12:] = 0
    before = net.style(image, labels, None, valid)
    image[..., 14:] = 0  # beyond the reach of what looks at valid pixels
    after = net.style(image, labels, None, valid)
    assert all(torch.equal(a.vectors, b.vectors) for a, b in zip(before, after, strict=True))
    share = net_of().exemplar_features(spots(15, 18), one_hot(ids(15, 18)), None, None)[2][-1]
    assert share is not None and share.shape[2:] == (16, 20) and int(share.sum()) == 15 * 18


@pytest.mark.parametrize("draw", [pairs.separate, disjoint])
@pytest.mark.parametrize("size", [(32, 70), (70, 32), (64, 80), (32, 64)])
def test_crops_share_no_pixel(draw: Any, size: tuple[int, int]) -> None:
    """Here and in CoCosNet; and all places come up: both axes where both have the room, and both orders."""
    rng, apart = generator(), set()
    for _ in range(300):
        places = draw(size, 32, rng)
        assert all(0 <= at <= side - 32 for place in places for at, side in zip(place, size, strict=True))
        steps = [b - a for a, b in zip(*places, strict=True)]
        assert max(map(abs, steps)) >= 32
        apart |= {(axis, step > 0) for axis, step in enumerate(steps) if abs(step) >= 32}
    assert apart == {(axis, way) for axis in (0, 1) if size[axis] >= 64 for way in (False, True)}


def test_too_small_an_exemplar_is_an_error() -> None:
    with pytest.raises(InputError, match=r"e0 is 30x20, which has no room .* 16x16; give a larger exemplar"):
        training(asked=task((20, 30)))  # 15 would fit, and is less than crops may be
    with pytest.raises(InputError, match=r"e0 is 40x36, which has no room .* 24x24; --set crop=20 fits"):
        training(asked=task((36, 40)), crop=24)
    training(asked=task((16, 32)))


def test_maps_move_with_their_crops() -> None:
    """Cut out, reduced, mirrored and turned alike; labels stay ids."""
    place = torch.stack(torch.meshgrid(torch.arange(40.0), torch.arange(50.0), indexing="ij"))[None] / 50
    source = pairs.LabelledPictures(torch.cat([place, place[:, :1]], 1), place[:, 1:], place[:, :1])
    pair = pairs.cut(source, [(3, 5), (10, 20)], 24, 24)
    for number in range(20):
        moved = pairs.moved(pair, True, True, generator(number))
        assert torch.equal(moved.image[:, 1:2], moved.labels) and torch.equal(moved.image[:, :1], moved.valid)
    every = [pairs.moved(pair, True, True, generator(n)).image[0, :2, 0, :2] for n in range(99)]
    assert len(torch.stack(every).unique(dim=0)) == 8
    assert torch.equal(pairs.moved(pair, False, False, generator()).image, pair.image)
    small = pairs.cut(source, [(3, 5), (10, 20)], 24, 16)
    assert small.image.shape == (2, 3, 16, 16) and set(small.labels.unique().tolist()) <= set(place.unique().tolist())
    assert float((small.image[:, 1:2] - small.labels).abs().max()) < 0.03


def test_labels_get_other_colours_in_both_crops_alike() -> None:
    """So that what a crop shall look like can be read off the other one, and off nothing else."""
    labels = ids(32, 32)
    source = pairs.LabelledPictures(spots(32, 32, 3) * 0.2 + 0.4, labels, torch.ones_like(labels))
    pair = pairs.cut(source, [(2, 3), (2, 3)], 24, 24)
    one, other = pairs.recoloured(pair, generator(1)), pairs.recoloured(pair, generator(2))
    assert torch.equal(one.image[0], one.image[1]) and not torch.allclose(one.image, other.image, atol=0.05)
    assert torch.equal(one.labels, pair.labels)
    slopes = []
    for label in (0, 1):  # each label's colours are one line's
        where = (pair.labels == label)[:, 0]
        before, after = pair.image[:, 0][where], one.image[:, 0][where]
        slope = float(((before - before.mean()) * after).sum() / (before - before.mean()).square().sum())
        assert torch.allclose(after, after.mean() + slope * (before - before.mean()), atol=1e-4)
        slopes.append(slope)
    assert abs(slopes[0] - slopes[1]) > 1e-3


def test_the_pair_with_common_labels_is_taken() -> None:
    def pair(first: Tensor, second: Tensor) -> pairs.LabelledPictures:
        labels = torch.cat([first, second])
        return pairs.LabelledPictures(labels.expand(-1, 3, -1, -1), labels, torch.ones_like(labels))

    half = torch.zeros(1, 1, 4, 4)
    half[..., 2:] = 1
    none, one, both = pair(torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4)), pair(half * 0, half * 0), pair(half, half)
    assert pairs.best([none, one]) is one and pairs.best([none, both, one]) is both
    assert pairs.best([both, replace(both, valid=both.valid * 0.1), one]) is both
    assert pairs.best([replace(both, valid=both.valid * 0.1), one]) is one


def test_every_parameter_counts() -> None:
    """Each gets a gradient: of the attention and the decoder in pretraining, of all but the decoder in training."""
    run = built(pretraining=0.5)
    for number, skipped in ((0, "generator."), (5, "nothing")):
        losses = run.step(number)
        assert set(losses) == ({"pretraining"} if number == 0 else {"discriminator", *LOSSES})
        for kind in ("net", "helper" if number == 0 else "critic"):
            check_learning(run.modules[kind], skipped)
    assert not any(name.startswith("convs") for name in run.tensors())  # the decoder's are not kept


@pytest.mark.parametrize("attention_kind", ["full", "gap"])
def test_training_brings_each_label_its_colour(attention_kind: str) -> None:
    """Half red, half blue: layouts are followed after a few steps."""
    halves = torch.zeros(1, 1, 40, 44)
    halves[..., 22:] = 1
    image = PALETTE[halves[0, 0].long()].movedim(2, 0)[None] * 0.6 + 0.15 + noise(1, 3, 40, 44) * 0.1
    guide = Guide("labels", (halves,), halves, distance="l0", palette=PALETTE)
    asked = Task((Exemplar("halves", image),), (40, 44), guides=(guide,))
    words = {"steps": 40, "attention": attention_kind, "pretraining": 0.1, "rate": 0.01, "recolour": 0.0}
    run = built(asked=asked, **words)
    before = run.measure()
    for number in range(40):
        run.step(number)
    assert run.measure() < 0.5 * before
    target = halves.transpose(2, 3).contiguous()
    steered = replace(asked, size=(44, 40), guides=(replace(guide, target=target),), model=stored(run, **words))
    out = used(steered).image
    assert float((out[:, 0] - out[:, 2])[:, :20].mean()) > 0.2 > -0.2 > float((out[:, 0] - out[:, 2])[:, 24:].mean())


def test_chance_is_the_runs_own() -> None:
    check_chance(lambda: training(flips=True, turns=True))


@pytest.mark.parametrize("steps", [3, 7])
def test_a_resumed_run_is_the_uninterrupted_one(steps: int) -> None:
    """Among crops at the exemplar's scale, and among larger ones."""
    check_resumed(lambda: training(batch=2), steps)


def test_estimates_grow_with_what_is_asked() -> None:
    each = ({}, {"crop": 128}, {"crop": 128, "width": 32})
    check_growing(*(recipe.estimate(task(), chosen(**words)) for words in each))
    check_growing(*(method.estimate(task(target=size), method.Settings()) for size in ((64, 64), (512, 512))))


@pytest.mark.parametrize("size", [(96, 160), (33, 18), (5, 6)])
def test_any_size_comes_out(model: Model, size: tuple[int, int]) -> None:
    out = used(task(target=size, model=model)).image
    assert out.shape == (1, 3, *size) and bool(out.isfinite().all())
    assert float(out.min()) >= 0 and float(out.max()) <= 1


def test_pictures_that_tile_have_no_border() -> None:
    """A target moved round gives the picture moved round."""
    words = {"noise": 0}
    asked = task(target=(24, 32), tile=(True, True), model=stored(built(**words), **words))
    guide = asked.guides[0]
    rolled = replace(asked, guides=(replace(guide, target=guide.target.roll((4, 8), (2, 3))),))
    assert torch.allclose(used(asked).image.roll((4, 8), (2, 3)), used(rolled).image, atol=1e-5)
    bordered = [replace(each, tile=(False, False)) for each in (asked, rolled)]
    assert not torch.allclose(used(bordered[0]).image.roll((4, 8), (2, 3)), used(bordered[1]).image, atol=1e-5)


def test_every_seed_is_another_sample(model: Model) -> None:
    asked = task(model=model)
    assert torch.equal(used(asked).image, used(asked).image)
    assert not torch.equal(used(asked).image, used(asked, seed=1).image)


def test_several_exemplars_are_one_source(model: Model) -> None:
    """Without a blend the same as equal shares of all positions; shares of 1 and 0 are one exemplar alone."""
    asked = task((40, 44), (24, 28), model=model)
    assert torch.allclose(used(asked).image, used(replace(asked, blend=blended(0.5, 40))).image, atol=1e-6)
    guide = asked.guides[0]
    alone = replace(asked, exemplars=asked.exemplars[1:], guides=(replace(guide, sources=guide.sources[1:]),))
    assert torch.allclose(used(replace(asked, blend=blended(0.0, 40))).image, used(alone).image, atol=1e-6)


def test_a_blend_may_change_from_place_to_place(model: Model) -> None:
    """Far from where it changes, each side is one exemplar's."""
    sources = task((40, 44), (24, 28), target=(32, 128), model=model)
    dark = replace(sources.exemplars[1], image=sources.exemplars[1].image * 0.2)
    asked = replace(sources, exemplars=(sources.exemplars[0], dark))
    shares = (torch.arange(128) < 64).float(), 1.0, 0.0
    out, left, right = (used(replace(asked, blend=blended(share, 128))).image for share in shares)
    assert torch.allclose(out[..., :16], left[..., :16], atol=1e-5) and not torch.allclose(left, right, atol=1e-3)
    assert torch.allclose(out[..., -16:], right[..., -16:], atol=1e-5)


def test_what_is_stored_makes_what_was_measured() -> None:
    """The model, used on the exemplar's own labels, makes the sample of the training."""
    run = built()
    run.step(7)
    asked = task()
    guide = asked.guides[0]
    same = replace(guide, target=guide.sources[0])
    out = used(replace(asked, size=(40, 44), guides=(same,), model=stored(run)), seed=2**40).image
    (sheet,) = run.sample()
    assert torch.equal(sheet[..., :44], asked.exemplars[0].image) and torch.allclose(sheet[..., 88:], out, atol=1e-5)
    assert torch.equal(sheet[:, 0, :, 44:88] == 1, same.target[0] == 0)  # red is the first label


def test_only_labels_are_followed(model: Model) -> None:
    asked = task(model=model)
    hole = torch.ones(1, 1, 32, 40, dtype=torch.bool)
    for words, change in {
        "fills no holes": {"hole": hole},
        "--init": {"init": torch.zeros(1, 3, 32, 40)},
        "--guide-weight-map": {"guides": (replace(asked.guides[0], strength=hole.float()),)},
        "--labels": {"guides": ()},
        "#7f0000|#800000": {"guides": (replace(asked.guides[0], palette=PALETTE * 0.5),)},
        "--size 40x32": {"tile": (True, False), "size": (30, 40)},
    }.items():
        assert re.search(words, str(method.refuses(replace(asked, **change), method.Settings())))
    assert method.refuses(asked, method.Settings()) is None


@pytest.mark.parametrize("blend", [None, "even", "across"])
def test_attention_is_shown(model: Model, blend: str | None) -> None:
    asked = task((40, 44), (24, 30), model=model)
    if blend:
        asked = replace(asked, blend=blended(0.3 if blend == "even" else torch.linspace(0, 1, 40), 40))
    shown = used(asked, attention_maps="on").shown
    assert set(shown) == {"region-00", "region-01", "region-02", "transfer", "dendrogram"}
    for picture in shown.values():
        assert picture.shape[:2] == (1, 3) and float(picture.min()) >= 0 and float(picture.max()) <= 1
    assert shown["region-00"].shape[2:] == (40, 44 + 30 + 40 + 2 * attention.GAP)
    assert not used(asked).shown


def test_labels_are_sent_where_regions_are() -> None:
    """Regions that are labels send each label to where it is wanted."""
    source, target = one_hot(ids(8, 9, 1)), one_hot(ids(6, 7, 2))
    alpha = source / source.sum((2, 3), keepdim=True)
    straight = attention.AttentionMaps([alpha], target, [source], target)
    assert torch.allclose(attention.transfer(straight), torch.eye(2), atol=1e-6)
    crossed = replace(straight, beta=target.flip(1))
    assert torch.allclose(attention.transfer(crossed), torch.eye(2).flip(0), atol=1e-6)
    shares = torch.full((1, 2, 6, 7), 0.5)
    half = replace(straight, alphas=[alpha, alpha.flip(1)], labels=[source, source], shares=shares)
    assert torch.allclose(attention.transfer(half), torch.full((2, 2), 0.5), atol=1e-6)
    lone = replace(straight, target=torch.stack([torch.ones(6, 7), torch.zeros(6, 7)])[None])
    assert attention.transfer(lone)[:, 1].tolist() == [0, 0]


def test_labels_are_told_apart_by_what_they_give_others() -> None:
    table = torch.tensor([[0.9, 0.2, 0.3], [0.1, 0.8, 0.0], [0.0, 0.0, 0.7]])
    wanted = torch.tensor([[0.3, 0.2, 0.3], [0.1, 0.1, 0.0], [0.0, 0.0, 0.0]])
    assert torch.equal(attention.rows(table, [0, 1, 2]), wanted)


def test_most_frequent_labels_come_first() -> None:
    counted = one_hot(torch.tensor([[[[0.0, 2.0, 2.0, 2.0]]]]), 4)
    maps = attention.AttentionMaps([counted], counted, [counted], counted)
    assert attention.frequent(maps) == [2, 0]


@pytest.mark.parametrize("count", [2, 3, 25])
def test_merging_is_average_linkage(count: int) -> None:
    features = noise(count, 6, seed=count)
    wanted = linkage(features.double().numpy(), "average")
    for got, row in zip(attention.merges(features), wanted, strict=True):
        assert {got[0], got[1]} == {int(row[0]), int(row[1])} and got[2] == pytest.approx(row[2], abs=1e-6)


def test_image_features_may_come_from_vgg() -> None:
    """Training and use look at the same layers, divided by what the model remembers."""
    words = {"image": "vgg19", "texture": 0.0}
    asked = task(weights=vgg_weights(recipe.needs(chosen(**words))["vgg19"]))
    run = built(asked=asked, pretraining=0.5, **words)
    for number in (0, 7):
        run.step(number)
    assert all(p.grad is not None for p in run.modules["net"].parameters())
    model = stored(run, **words)
    assert float(model.tensors["units"].min()) > 0 and not torch.equal(model.tensors["units"], torch.ones(3))
    assert method.needs(method.Settings(), model) == {"vgg19": ("relu1_2", "relu2_2", "relu3_2")}
    assert not method.needs(method.Settings(), None)
    assert bool(used(replace(asked, model=model)).image.isfinite().all())
