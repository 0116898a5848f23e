"""Pseudo Optimizer: gradients, second derivatives, the network, its training, and pictures in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from builders import ignore
from models import model_of
from networks import tensors
from pictures import generator, noise, spots
from texsynth import settings
from texsynth.errors import InputError, UsageError
from texsynth.features import Extract, vgg19
from texsynth.learned.pseudo_optimizer import loss as texture
from texsynth.learned.pseudo_optimizer import method as pseudo
from texsynth.learned.pseudo_optimizer import network as po
from texsynth.learned.pseudo_optimizer import recipe
from texsynth.learned.pseudo_optimizer.loss import TextureTarget
from texsynth.learned.shared.conv import OFF
from texsynth.patches.samples import tables
from texsynth.task import Canvas, Exemplar, Task
from texsynth.training.recipes import SAMPLE_SEED, Training
from texsynth.weights.pretrained import Weights
from texsynth.weights.trained import Model
from training import check_chance, check_gradients, check_resumed

LAYERS = ("relu1_1", "pool1", "relu2_1")
BOTH, CPU = (True, True), torch.device("cpu")
SMALL = {"layers": LAYERS, "width": 0.1}
WEIGHTS = Weights("random", "", tensors(["relu3_4"]), (0.5, 0.5, 0.5), (0.3, 0.3, 0.3))


def extractor(tile: tuple[bool, bool] = OFF, double: bool = False) -> Extract:
    weights = {key: t.double() if double else t for key, t in WEIGHTS.tensors.items()}
    return vgg19.build(vgg19.Settings(), tile, replace(WEIGHTS, tensors=weights))


def target_of(*images: Tensor, shares: Sequence[float] = (1.0,), layers: Sequence[str] = LAYERS) -> TextureTarget:
    run = extractor(double=images[0].dtype == torch.float64)
    return texture.target_of([tables(run(image, layers), 1, 1) for image in images], shares)


def net_of(**values: Any) -> po.PseudoOptimizer:
    net = po.PseudoOptimizer(settings.make(po.Shape, {**SMALL, **values}, "test"))
    po.initialise(net, generator())
    with torch.no_grad():  # steps that show
        for stage in net.stages:
            stage.last.weight.mul_(2)
    return net


def chosen(**values: Any) -> Any:
    return settings.make(recipe.Settings, {**SMALL, "crop": 32, "side": 0, "steps": 40, **values}, "test")


def task(*images: Tensor, size: tuple[int, int] = (24, 28), **values: Any) -> Task:
    shown = images or (spots(34, 36), spots(32, 32, seed=1) ** 2)
    exemplars = tuple(Exemplar(f"e{number}.png", image) for number, image in enumerate(shown))
    return Task(exemplars, size, weights={"vgg19": WEIGHTS}, **values)


def training(seed: int = 0, asked: Task | None = None, **values: Any) -> tuple[Training, torch.Generator]:
    rng = generator(seed)
    return recipe.build(asked or task(), chosen(**values), rng), rng


def model(**values: Any) -> Model:
    net = net_of(**values)
    return Model("pseudo-optimizer", {**settings.plain(net.shape), "crop": 32}, net.state_dict(), {}, "m", "0")


def use(
    asked: Task, seed: int = 0, canvas: Canvas | None = None, precision: str = "float32"
) -> tuple[Tensor, list[float]]:
    """The picture that the task's model makes, and the losses after its stages."""
    words = pseudo.Settings(precision)
    (level,) = pseudo.schedule(asked, words)
    canvas, step = pseudo.begin(asked, canvas, level, words, generator(seed), ignore)
    losses = []
    for _ in range(level.steps):
        canvas, loss = step(canvas)
        losses.append(loss)
    return canvas.image, losses


@pytest.mark.parametrize(
    ("stages", "counts"), [(0, [1, 2, 3]), (1, [3]), (2, [2, 3]), (3, [1, 2, 3]), (5, [1, 2, 2, 3, 3])]
)
def test_stages_see_more_and_more_layers(stages: int, counts: list[int]) -> None:
    layers_of_stages = po.Shape(layers=LAYERS, stages=stages).stage_layers
    assert [len(layers) for layers in layers_of_stages] == counts
    assert all(layers == LAYERS[: len(layers)] for layers in layers_of_stages)


@pytest.mark.parametrize("layers", [[], ["pool1", "relu1_1"], ["pool1", "pool1"], ["pool9"]])
def test_layers_stand_in_order(layers: list[str]) -> None:
    with pytest.raises(UsageError, match="layers"):
        settings.make(po.Shape, {"layers": layers}, "here")


def test_channels_and_cells_are_those_of_the_layers() -> None:
    end = vgg19.LAYERS.index("pool3") + 1
    for name, layer in extractor()(noise(1, 3, 32, 32), vgg19.LAYERS[:end]).items():
        assert (po.channels(name), po.cell(name)) == (layer.shape[1], 32 // layer.shape[2]), name
    assert {po.channels(name) for name in vgg19.LAYERS[end:]} == {512}


@pytest.mark.parametrize("tile", [OFF, BOTH])
def test_second_derivatives_of_the_features_are_exact(tile: tuple[bool, bool]) -> None:
    """Against differences of gradients, in float64."""
    layers = ("relu1_1", "pool1")
    run, target = extractor(tile, double=True), target_of(spots(8, 8).double(), layers=layers)
    probes = {"relu1_1": noise(1, 64, 5, 6).double(), "pool1": noise(1, 64, 2, 3, seed=1).double()}

    def probed(z: Tensor) -> Tensor:
        gradients = texture.gradients(texture.compare(run(z.sigmoid(), layers), target), layers, "total", keep=True)
        return torch.stack([(gradients[name] * probe).sum() for name, probe in probes.items()]).sum()

    z = (noise(1, 3, 5, 6, seed=2).double() * 2 - 1).requires_grad_()
    assert torch.autograd.gradcheck(probed, z, eps=1e-7, atol=1e-5, rtol=1e-4)


def test_second_derivatives_are_those_of_plain_torch() -> None:
    weight, bias = (WEIGHTS.tensors[f"features.0.{part}"].double() for part in ("weight", "bias"))
    x = noise(1, 3, 6, 7).double().requires_grad_()
    derivatives: list[Tensor] = []
    for out in (vgg19.convolve(x, weight, bias, OFF, True), F.conv2d(x, weight, bias, padding=1).relu()):
        (gradient,) = torch.autograd.grad(out.square().sum(), x, create_graph=True)
        derivatives.append(torch.autograd.grad(gradient.square().sum(), x)[0])
    assert torch.allclose(*derivatives) and derivatives[0].abs().sum() > 0


def test_gradients_are_those_of_the_loss() -> None:
    """Total ones are derivatives, times what all of a layer share; own ones are the same at the deepest layer, and
    elsewhere those of the layer's own term."""
    target, z = target_of(spots(16, 16)), noise(1, 3, 16, 20).requires_grad_()
    maps = extractor()(z, LAYERS)
    comparison = texture.compare(maps, target)
    total, of_layer = (texture.gradients(comparison, LAYERS, how, keep=False) for how in ("total", "own"))
    loss = texture.total(texture.terms(comparison, LAYERS))
    for name, derivative in zip(LAYERS, torch.autograd.grad(loss, list(maps.values()), retain_graph=True), strict=True):
        assert float(F.cosine_similarity(total[name].flatten(), derivative.flatten(), 0)) > 1 - 1e-5
    for name in LAYERS:
        alone = texture.gradients(comparison, (name,), "total", keep=False)[name]
        assert torch.allclose(of_layer[name], alone, rtol=1e-3, atol=1e-5 * float(alone.abs().max()))
    assert not torch.allclose(of_layer["relu1_1"], total["relu1_1"], rtol=0.1)


@pytest.mark.parametrize("how", ["total", "own"])
def test_gradients_do_not_hang_on_the_size(how: str) -> None:
    target, image = target_of(spots(16, 16)), noise(1, 3, 8, 8)
    small, large = (
        texture.gradients(texture.compare(extractor(BOTH)(x.requires_grad_(), LAYERS), target), LAYERS, how, keep=False)
        for x in (image, image.repeat(1, 1, 2, 3))
    )
    for name in LAYERS:
        assert torch.allclose(small[name].repeat(1, 1, 2, 3), large[name], rtol=1e-3, atol=1e-5)


def test_an_exemplar_is_its_own_goal() -> None:
    image = spots(16, 16)
    target = target_of(image)
    comparison = texture.compare(extractor()(image.clone().requires_grad_(), LAYERS), target)
    assert float(texture.total(texture.terms(comparison, LAYERS)).detach()) < 1e-4
    others = texture.terms(texture.compare(extractor()(noise(1, 3, 16, 16), LAYERS), target), LAYERS)
    assert set(others) == set(LAYERS) and all(float(term) > 1 for term in others.values())
    gradients = texture.gradients(comparison, LAYERS, "total", keep=False).values()
    assert max(float(gradient.abs().max()) for gradient in gradients) < 1e-3


def test_shares_mix_gram_matrices() -> None:
    images = spots(16, 16), noise(1, 3, 16, 16)
    first, second = map(target_of, images)
    alone, middle = (target_of(*images, shares=shares) for shares in ((1.0, 0.0), (0.5, 0.5)))
    for name in LAYERS:
        assert torch.allclose(alone.grams[name], first.grams[name])
        raw = [target.grams[name] * target.units[name] ** 2 for target in (first, second, middle)]
        assert torch.allclose((raw[0] + raw[1]) / 2, raw[2], rtol=1e-4)


@pytest.mark.parametrize(
    "values", [{}, {"stages": 1, "activation": "relu", "padding": "reflect"}, {"slopes": "own", "norm": "scale"}]
)
@pytest.mark.parametrize("size", [(24, 28), (19, 33), (8, 8), (8, 40)])
def test_any_size_is_made(values: dict[str, Any], size: tuple[int, int]) -> None:
    image, losses = use(task(size=size, model=model(layers=[*LAYERS, "pool3"], **values)))
    assert image.shape == (1, 3, *size) and image.dtype == torch.float32
    assert 0 <= float(image.min()) < float(image.max()) <= 1
    assert len(losses) == (values.get("stages") or 4) and all(loss > 0 for loss in losses)


@pytest.mark.parametrize("padding", ["zero", "reflect", "replicate"])
@pytest.mark.parametrize("tile", [BOTH, (True, False), (False, True)])
def test_what_tiles_has_no_seam(tile: tuple[bool, bool], padding: str) -> None:
    """Shifted noise makes a shifted picture, exactly along axes that wrap; elsewhere the border tells."""
    net, target = net_of(padding=padding), target_of(spots(16, 16))
    z = po.start((16, 24), generator(), CPU)
    for dim, wraps in zip((2, 3), tile, strict=True):
        plain, moved = (
            [after for after, _ in po.unrolled(net, start, target, extractor(tile), tile)][-1]
            for start in (z, z.roll(8, dim))
        )
        assert torch.allclose(plain.roll(8, dim), moved, atol=1e-3) == wraps


@pytest.mark.parametrize("how", ["total", "own"])
@pytest.mark.parametrize("cut", [False, True])
def test_gradients_cross_stages_unless_they_are_cut(how: str, cut: bool) -> None:
    net, target = net_of(slopes=how), target_of(spots(16, 16))
    z = po.start((16, 16), generator(), CPU)
    *_, (_, comparison) = po.unrolled(net, z, target, extractor(), cut=cut)
    texture.total(texture.terms(comparison, LAYERS)).backward()
    reached = [all(p.grad is not None and bool(p.grad.any()) for p in s.parameters()) for s in net.stages]
    assert reached == ([False, False, True] if cut else [True, True, True])


@pytest.mark.parametrize("how", ["total", "own"])
def test_gradients_pass_through_gradients(how: str) -> None:
    """What the second stage's step owes to the first is more than the picture that it is added to."""
    net, target = net_of(slopes=how), target_of(spots(16, 16))
    z = po.start((16, 16), generator(), CPU).requires_grad_()
    comparison = net.compare(z, target, extractor(), net.shape.stage_layers[1])
    moved = net(1, comparison, z, OFF, keep=True) - z
    (gradient,) = torch.autograd.grad(moved.square().sum(), z, retain_graph=True)
    assert gradient.abs().sum() > 0
    detached = net(1, comparison, z.detach(), OFF, keep=False) - z.detach()
    assert torch.allclose(detached, moved, atol=1e-5)


@pytest.mark.parametrize("norm", ["instance", "scale"])
def test_norms_keep_what_is_alike_everywhere_or_drop_it(norm: str) -> None:
    """A gradient that is the same at every place."""
    kind = po.Norm(3, po.Shape(norm=norm))
    with torch.no_grad():
        kind.weight.fill_(2)
        kind.bias.fill_(1)
    flat = torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1).expand(1, 3, 4, 5)
    kept = 0 if norm == "instance" else flat / (14 / 3) ** 0.5
    assert torch.allclose(kind(flat), 1 + 2 * kept * torch.ones(()), atol=1e-3)


@pytest.mark.parametrize("values", [{}, {"slopes": "own", "stop_grad": "on"}, {"stages": 1, "distance": "relative"}])
def test_every_parameter_learns(values: dict[str, Any]) -> None:
    losses = check_gradients(training(**values)[0])
    stages = [value for name, value in losses.items() if name.startswith("stage")]
    assert len(stages) == (values.get("stages") or 3)
    assert losses["loss"] == pytest.approx(sum(stages), rel=1e-5)


def test_earlier_stages_may_count_less() -> None:
    losses = training(stage_weight=0.5)[0].step(0)
    assert losses["loss"] == pytest.approx(losses["stage 1"] / 4 + losses["stage 2"] / 2 + losses["stage 3"], rel=1e-5)


def distance_of(kind: str, difference: Tensor, gram: Tensor) -> Tensor:
    """The distance of one layer, whose Gram matrix is `gram` in the target, and that much more in the picture."""
    comparison = texture.GramComparison({}, {"relu1_1": difference}, {})
    target = TextureTarget({"relu1_1": gram}, {})
    return recipe.distances(comparison, LAYERS, target, chosen(distance=kind))["relu1_1"]


def test_relative_distances_are_shares_of_the_exemplars() -> None:
    """1 where nothing is there, and the same for matrices that are both twice as large; squares are four times that.
    Their gradient stays finite at the goal."""
    gram = 1 + noise(4, 4)
    relative, squared = ([float(distance_of(k, -n * gram, n * gram)) for n in (1, 2)] for k in ("relative", "squared"))
    assert relative == pytest.approx([1, 1]) and squared[1] == pytest.approx(4 * squared[0])
    still = torch.zeros(4, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(distance_of("relative", still, gram), still)
    assert bool(gradient.isfinite().all())


def test_training_lowers_the_loss_and_the_measure() -> None:
    started, _ = training(rate=5e-3, layers=["relu1_1", "pool1"], metric="quality_po", asked=task(spots(32, 32)))
    before = started.measure()
    losses = [started.step(number)["loss"] for number in range(20)]
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])
    assert started.measure() < 0.8 * before


def test_the_rate_falls_to_nothing_over_the_second_half() -> None:
    rates = [recipe.rate(chosen(rate=0.01), number) for number in (0, 19, 20, 30, 40)]
    assert rates == pytest.approx([0.01, 0.01, 0.01, 0.005, 0.0])
    started, _ = training(rate=0.01)
    started.step(30)
    assert started.optimisers["adam"].param_groups[0]["lr"] == pytest.approx(0.005)


def test_chance_comes_from_the_run_alone() -> None:
    check_chance(training)
    assert training(seed=1)[0].step(0) != training()[0].step(0)


def test_a_resumed_run_is_the_uninterrupted_one() -> None:
    check_resumed(lambda: training(batch=2), 1)


def test_samples_stand_beside_what_they_shall_look_like() -> None:
    first = training()[0].sample()[0]
    assert first.shape == (1, 3, 34, 72) and torch.equal(first[..., :36], spots(34, 36))
    assert len(training(asked=task(*[spots(32, 32)] * 6))[0].sample()) == 4


def source_of(image: Tensor, valid: Tensor | None = None, **values: Any) -> recipe.CropSource:
    return recipe.source_of(Exemplar("e.png", image, valid), chosen(**values), CPU)


@pytest.mark.parametrize(("flips", "mirrored"), [("on", True), ("off", False)])
def test_crops_are_mirrored_if_they_may_be(flips: str, mirrored: bool) -> None:
    source, rng = source_of(torch.linspace(0, 1, 34).expand(1, 3, 34, 34).contiguous()), generator()
    crops = [recipe.draw_crop([source], chosen(flips=flips), rng).image for _ in range(20)]
    assert all(crop.shape == (1, 3, 32, 32) for crop in crops)
    falling = [bool(crop[0, 0, 0, 0] > crop[0, 0, 0, -1]) for crop in crops]
    assert any(falling) == mirrored and not all(falling)


def test_exemplars_are_reduced_and_never_enlarged() -> None:
    sizes = [source_of(spots(60, 40), side=side).whole.image.shape[2:] for side in (0, 36, 90)]
    assert sizes == [(60, 40), (54, 36), (60, 40)]


def test_crops_keep_to_what_may_be_used() -> None:
    valid = torch.zeros(1, 1, 34, 60, dtype=torch.bool)
    valid[..., :24] = True
    source, rng = source_of(spots(34, 60), valid), generator()
    crops = [recipe.draw_crop([source], chosen(), rng) for _ in range(20)]
    assert all(crop.valid is not None and float(crop.valid.float().mean()) >= 0.5 for crop in crops)
    assert torch.equal(source.corners[:, 1].unique(), torch.arange(9))


def test_exemplars_that_give_no_crop_are_refused() -> None:
    with pytest.raises(InputError, match=r"e.png is 40x20 in training.*--set crop=N"):
        source_of(spots(20, 40))
    with pytest.raises(InputError, match="less than half of every 32x32 crop"):
        source_of(spots(40, 40), torch.zeros(1, 1, 40, 40, dtype=torch.bool))


def test_its_layers_and_the_metrics_are_asked_for() -> None:
    assert set(recipe.needs(chosen(metric="quality_po"))["vgg19"]) == {*LAYERS, "pool2", "pool3"}
    assert pseudo.needs(pseudo.Settings(), None) == {"vgg19": ()}
    assert pseudo.needs(pseudo.Settings(), model()) == {"vgg19": LAYERS}


def test_the_seed_makes_the_picture() -> None:
    asked = task(model=model())
    assert torch.equal(use(asked)[0], use(asked)[0])
    assert not torch.equal(use(asked)[0], use(asked, seed=1)[0])


def test_its_values_are_the_losses_of_what_it_made() -> None:
    """Of the last picture on all layers; so runs can be compared."""
    asked = task(spots(30, 34), model=model())
    image, losses = use(asked)
    terms = texture.terms(texture.compare(extractor()(image, LAYERS), target_of(spots(30, 34))), LAYERS)
    assert losses[-1] == pytest.approx(float(texture.total(terms)), rel=1e-4)


def test_the_network_in_training_is_the_network_at_use() -> None:
    started, _ = training(asked=task(spots(32, 32)))
    started.step(0)
    trained = model_of(started, "pseudo-optimizer", chosen())
    image, _ = use(task(spots(32, 32), size=(32, 32), model=trained), seed=SAMPLE_SEED)
    assert torch.allclose(started.sample()[0][..., 32:], image, atol=1e-5)


def test_shares_of_one_exemplar_alone_are_that_exemplar() -> None:
    both, first = (spots(30, 34), spots(32, 32, seed=1) ** 2), spots(30, 34)
    blend = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1).expand(1, 2, 24, 28)
    trained = model()
    alone = use(task(first, model=trained))[0]
    assert torch.allclose(use(task(*both, blend=blend, model=trained))[0], alone, atol=1e-4)
    mixed, pooled = use(task(*both, blend=blend.flip(1), model=trained))[0], use(task(*both, model=trained))[0]
    assert not torch.allclose(mixed, alone, atol=0.01) and not torch.allclose(pooled, alone, atol=0.01)


def test_it_goes_on_from_a_picture_of_any_size() -> None:
    """With a network whose steps are nothing the picture stays what it was."""
    trained = model()
    still = {name: tensor * (".last." not in name) for name, tensor in trained.tensors.items()}
    asked = task(size=(24, 28), model=replace(trained, tensors=still))
    image = 0.1 + 0.8 * spots(24, 28)
    assert torch.allclose(use(asked, canvas=Canvas(image))[0], image, atol=1e-5)
    assert torch.allclose(use(replace(asked, init=image))[0], image, atol=1e-5)
    assert use(asked, canvas=Canvas(image[..., :14]))[0].shape == image.shape


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, None),
        ({"model": model(slopes="own")}, None),
        ({"blend": torch.full((1, 2, 24, 28), 0.5)}, None),
        ({"hole": torch.ones(1, 1, 24, 28, dtype=torch.bool)}, "fills no holes"),
        ({"start": torch.zeros(1, 2, 24, 28)}, "moves no objects"),
        ({"blend": noise(1, 2, 24, 28)}, "in the same shares everywhere only"),
        ({"size": (8, 30), "model": model(layers=["pool4", "relu5_1"])}, "no picture below 16 pixels"),
    ],
)
def test_what_it_cannot_do_is_refused(values: dict[str, Any], words: str | None) -> None:
    reason = pseudo.refuses(task(**values), pseudo.Settings())
    assert words == reason or str(words) in str(reason)


def test_bfloat16_makes_nearly_the_same_picture() -> None:
    """Where no gradient goes back through it."""
    quick = pseudo.Settings(precision="bfloat16")
    assert "precision = float32" in (pseudo.refuses(task(model=model(slopes="total")), quick) or "")
    asked = task(model=model(slopes="own"))
    assert pseudo.refuses(asked, quick) is None
    exact, rough = use(asked)[0], use(asked, precision="bfloat16")[0]
    assert 0 < float((exact - rough).abs().mean()) < 0.02


def test_the_costs_grow_with_the_work() -> None:
    small, large = (pseudo.estimate(task(size=size), pseudo.Settings()) for size in ((64, 64), (512, 512)))
    assert 0 < small.memory < large.memory and 0 < small.seconds < large.seconds
    slim, full = (recipe.estimate(task(), case) for case in (chosen(), chosen(width=1.0, crop=224)))
    assert 0 < slim.memory < full.memory and 0 < slim.seconds < full.seconds
