"""The exemplar networks by their verbs: what they draw beside a picture, edits, paint carried along, every mistake."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asking import entry_of, good, same_bytes
from conftest import Draw, Texsynth, array
from pictures import bytes_of, spots
from texsynth import train
from texsynth.api import propagate
from texsynth.image import picture as image
from texsynth.learned.cocosnet import comparison as learned
from texsynth.weights import trained as model

Refused = Callable[..., str]
BLACK, ORANGE, BLUE = (0, 0, 0), (220, 120, 0), (0, 0, 255)
HEIGHT, WIDTH = 32, 40
SMALL = {"checks": 1, "crop": 16, "width": 4, "hidden": 4, "discriminator_width": 4, "discriminator_layers": 2}
RECIPES: dict[str, dict[str, Any]] = {
    "msca": {"channels": [4] * 5, "regions": 3, "draws": 1},
    "cocosnet": {"levels": 2, "adaptor": 4, "descriptor": 8, "context_sample": 16},
}
MAPS = ("--labels", "l.png", "t.png")


def painted(split: int, height: int = HEIGHT, width: int = WIDTH, colour: tuple[int, ...] = ORANGE) -> np.ndarray:
    """A label map: black left of a column, a colour from there on."""
    return np.where(np.arange(width)[:, None] < split, 0, np.full((height, width, 3), colour)).astype(np.uint8)


def textured(labels: np.ndarray, seed: int = 0) -> np.ndarray:
    """A picture that is dark where labels are black, and light elsewhere."""
    light = labels.any(2, keepdims=True)
    return (bytes_of(spots(*labels.shape[:2], seed=seed)) // 2 + light * 110).astype(np.uint8)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model of each recipe after two steps, with labels black and orange."""
    folder = tmp_path_factory.mktemp("models")
    labels = painted(20)
    paths = {recipe: folder / f"{recipe}.safetensors" for recipe in RECIPES}
    for recipe, path in paths.items():
        train(recipe, [textured(labels)], path, settings=SMALL | RECIPES[recipe], steps=2, labels=[labels])
    return paths


@pytest.fixture(autouse=True)
def pictures(draw: Draw) -> None:
    """An exemplar with its labels and a target's; the same at other places as a picture and its labels; paint."""
    draw("a.png", textured(painted(20)))
    draw("l.png", painted(20))
    draw("t.png", painted(12, 24, 36))
    draw("b.png", textured(painted(28), seed=3))
    draw("lb.png", painted(28))
    paint = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    paint[:, 20:] = (0, 200, 0, 255)
    draw("paint.png", paint)


def roles(entry: dict[str, Any]) -> list[str]:
    """The roles of a run's inputs."""
    return [read["role"] for read in entry["record"]["inputs"]]


def control(recipe: str, models: dict[str, Path], *words: object) -> tuple[object, ...]:
    return ("control", "a.png", *(words or MAPS), "-m", recipe, "--model", models[recipe], "-o", "o.png", "-q")


# ---- control and edit ----


def test_attention_is_drawn_into_a_folder(texsynth: Texsynth, refused: Refused, models: dict[str, Path]) -> None:
    good(texsynth(*control("msca", models), "--save-attention", "seen"))
    assert array("o.png").shape == (24, 36, 3)
    regions = [f"region-{number:02d}.png" for number in range(3)]
    assert sorted(path.name for path in Path("seen").iterdir()) == ["dendrogram.png", *regions, "transfer.png"]
    for name in regions:
        region = array(f"seen/{name}")
        assert region.shape[0] == HEIGHT and region.shape[1] > WIDTH + 36, "exemplar beside target"
        assert region.max() == 255
    assert len(np.unique(array("seen/transfer.png").reshape(-1, 3), axis=0)) > 3, "both labels, and shares"
    line = refused(2, *control("msca", models), "--force", "--save-warp")
    assert "--save-warp: preset msca warps nothing; --method cocosnet does" in line
    again = refused(2, *control("msca", models)[:-2], "p.png", "-q", "--save-attention", "seen")
    assert "seen: this folder is not empty" in again


def test_two_exemplars_are_blended(texsynth: Texsynth, draw: Draw, models: dict[str, Path]) -> None:
    draw("other.png", 255 - textured(painted(20)))
    draw("maps/a.png", painted(20))
    draw("maps/other.png", painted(20))
    run = ("control", "a.png", "other.png", "--labels", "maps", "t.png", "-m", "msca", "--model", models["msca"], "-q")
    good(texsynth(*run, "-o", "first.png", "--blend", "1,0"))
    good(texsynth(*run, "-o", "both.png", "--blend", "0.5,0.5", "--save-attention", "seen"))
    good(texsynth(*control("msca", models)))
    assert np.array_equal(array("first.png"), array("o.png"))
    assert not np.array_equal(array("both.png"), array("o.png"))
    assert array("seen/region-00.png").shape[1] > 2 * WIDTH + 36, "both exemplars beside the target"


def test_the_warp_is_written_beside_the_picture(texsynth: Texsynth, refused: Refused, models: dict[str, Path]) -> None:
    entry = entry_of(texsynth, *control("cocosnet", models), "--save-warp")
    assert array("o_warp.png").shape == array("o.png").shape == (24, 36, 3)
    assert not np.array_equal(array("o_warp.png"), array("o.png"))
    (read,) = [read for read in entry["record"]["inputs"] if read["role"] == "model"]
    assert read == {"role": "model", "name": "cocosnet.safetensors", "sha256": model.read(models["cocosnet"]).sha256}
    line = refused(2, *control("cocosnet", models), "--force", "--save-attention", "seen")
    assert "preset cocosnet pays no attention; --method msca does" in line
    assert not Path("seen").exists()
    line = refused(2, *control("cocosnet", models), "--force", "--set", "width=8")
    assert line.endswith("--set width: unknown setting 'width'; there are none\n")


def test_an_edit_by_two_label_maps(texsynth: Texsynth, models: dict[str, Path]) -> None:
    """The object goes to where the target has it, and what is uncovered becomes what else there is."""
    words = ("edit", "a.png", "--mask", "l.png", "-m", "cocosnet", "--model", models["cocosnet"])
    good(texsynth(*words, "--target-mask", "l.png", "-o", "same.png", "-q"))
    entry = entry_of(texsynth, *words, "--target-mask", "lb.png", "-o", "o.png")
    assert {"exemplar", "mask", "target-mask", "model"} == set(roles(entry))
    same, edited = (array(name).astype(float) for name in ("same.png", "o.png"))
    assert same.shape == edited.shape == (HEIGHT, WIDTH, 3)
    darker = (same - edited).mean((0, 2))  # column by column
    assert darker[20:28].mean() > 10 + max(darker[:20].mean(), darker[28:].mean())


# ---- propagate ----

CARRY = ("propagate", "a.png", "paint.png", "b.png", "-o", "o.png", "-q")


def carried(models: dict[str, Path], *words: object) -> tuple[object, ...]:
    return (*CARRY, "--model", models["cocosnet"], *words)


@pytest.mark.parametrize("labels", [(), ("--labels", "l.png", "--labels", "lb.png")], ids=["unknown", "known"])
def test_paint_follows_what_a_model_sees(texsynth: Texsynth, models: dict[str, Path], labels: tuple[str, ...]) -> None:
    entry = entry_of(texsynth, *carried(models, *labels, "--save-layer"))
    carried_paint, wanted = array("o_layer.png")[..., 3] > 127, painted(28).any(2)
    assert (carried_paint == wanted).mean() > 0.9
    assert entry["record"]["propagate"]["features"] == "model"
    drawn = ("labels-source", "labels-target") if labels else ()
    assert sorted(roles(entry)) == sorted(["source", "layer", "model", "target", *drawn])
    assert model.read(models["cocosnet"]).sha256 in {read["sha256"] for read in entry["record"]["inputs"]}


def test_what_a_model_sees_and_labels_both_count(texsynth: Texsynth, models: dict[str, Path]) -> None:
    distances = [
        entry_of(texsynth, *words, "--force")["distance"]
        for words in (CARRY, carried(models), carried(models, "--labels", "l.png", "--labels", "lb.png"))
    ]
    assert len(set(distances)) == 3


def test_a_source_with_a_model_still_gives_its_layer_back(texsynth: Texsynth, models: dict[str, Path]) -> None:
    words = ("propagate", "a.png", "paint.png", "a.png", "-o", "o.png", "-q", "--save-warp", "--save-layer")
    assert entry_of(texsynth, *words, "--model", models["cocosnet"])["distance"] == 0
    assert np.array_equal(array("o_warp.png"), array("a.png"))
    assert np.array_equal(array("o_layer.png"), array("paint.png"))


def test_labels_go_with_targets_by_order_or_stem(texsynth: Texsynth, draw: Draw, models: dict[str, Path]) -> None:
    draw("maps/a.png", painted(20))
    draw("maps/b.png", painted(28))
    ordered = ("--labels", "l.png", "--labels", "l.png", "--labels", "lb.png")
    run = ("propagate", "a.png", "paint.png", "a.png", "b.png", "--model", models["cocosnet"], "-q")
    good(texsynth(*run, "-o", "one/", *ordered, "--no-metadata"))
    good(texsynth(*run, "-o", "two/", "--labels", "maps", "--no-metadata"))
    for name in ("a.png", "b.png"):
        assert same_bytes(f"one/{name}", f"two/{name}")
    assert "normal by model" in good(texsynth(*run, "-o", "three/", "--dry-run")).out


def test_the_api_takes_a_model_and_labels(texsynth: Texsynth, models: dict[str, Path]) -> None:
    good(texsynth(*carried(models, "--labels", "l.png", "--labels", "lb.png")))
    made = propagate("a.png", "paint.png", "b.png", model=models["cocosnet"], labels=(painted(20), painted(28)))
    assert np.array_equal(image.to_array(made.image), array("o.png"))


def test_large_sources_are_shown_to_the_model_at_the_size_of_its_training(models: dict[str, Path]) -> None:
    stored = model.read(models["cocosnet"])
    assert stored.settings["side"] == 256
    assert [learned.scale(stored, size) for size in ((32, 40), (256, 300), (512, 1024))] == [1, 1, 2]
    assert learned.memory(stored, (1024, 1024), 2) < learned.memory(stored, (1024, 1024), 1)


# ---- training ----


@pytest.mark.parametrize("recipe", RECIPES)
def test_pairs_are_drawn_again_where_a_batch_wants_more_than_there_are(texsynth: Texsynth, recipe: str) -> None:
    values = (f"{key}={str(value).strip('[]')}" for key, value in (SMALL | RECIPES[recipe] | {"batch": 3}).items())
    words = ("train", recipe, "a.png", "--labels", "l.png", "-o", "m.safetensors", "--steps", 1, "-q")
    good(texsynth(*words, *(word for value in values for word in ("--set", value))))
    assert model.read(Path("m.safetensors")).settings["batch"] == 3


@pytest.mark.parametrize("recipe", RECIPES)
def test_an_exemplar_without_room_for_two_crops_is_told(refused: Refused, recipe: str) -> None:
    words = ("train", recipe, "a.png", "--labels", "l.png", "-o", "m.safetensors", "--steps", 1, "--set", "crop=24")
    line = refused(3, *words, "-q")
    assert re.search(r"a.png(,| is) 40x32", line)
    assert "no room for two" in line and "--set crop=20 fits" in line


# ---- mistakes ----


def test_stretched_maps_are_mentioned_once(texsynth: Texsynth, draw: Draw, models: dict[str, Path]) -> None:
    draw("long.png", painted(40, 32, 80))
    said = "long.png is 80x32, stretched to 40x32: the aspect differs by 100 %"
    for words in (
        control("cocosnet", models, "--labels", "long.png", "t.png"),
        carried(models, "--labels", "long.png", "--labels", "lb.png", "--force"),
        carried(models, "--labels", "l.png", "--labels", "long.png", "--force"),
    ):
        ran = texsynth(*(word for word in words if word != "-q"), "--dry-run")
        assert ran.code == 0 and ran.err.count(said) == 1, ran


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_label_that_the_model_never_saw(refused: Refused, draw: Draw, models: dict[str, Path], recipe: str) -> None:
    draw("blue.png", painted(20, colour=BLUE))
    message = "knows the labels #000000, #dc7800, and not #0000ff; repaint the map"
    assert message in refused(2, *control(recipe, models, "--labels", "blue.png", "blue.png"))
    line = refused(3, *control(recipe, models, "--labels", "l.png", "blue.png"))
    assert "the target's label #0000ff" in line and "is not in the exemplar" in line
    if recipe == "cocosnet":
        edit = ("edit", "a.png", "--mask", "blue.png", "--target-mask", "blue.png", "-m", recipe)
        assert message in refused(2, *edit, "--model", models[recipe], "-o", "o.png")
        for first, second in (("l.png", "blue.png"), ("blue.png", "lb.png")):
            line = refused(2, *carried(models, "--labels", first, "--labels", second))
            assert f"blue.png: cocosnet.safetensors {message}" in line


def test_models_of_other_recipes(refused: Refused, models: dict[str, Path]) -> None:
    for wanted, other in (("msca", "cocosnet"), ("cocosnet", "msca")):
        words = ("control", "a.png", *MAPS, "-m", wanted, "--model", models[other], "-o", "o.png")
        said = f"--model: {other}.safetensors is of recipe {other}; preset {wanted} uses {wanted}"
        assert said in refused(2, *words)
    said = "--model: msca.safetensors is of recipe msca; propagate uses cocosnet"
    assert said in refused(2, *CARRY, "--model", models["msca"])


def test_one_exemplar_for_cocosnet(refused: Refused, draw: Draw, models: dict[str, Path]) -> None:
    draw("maps/a.png", painted(20))
    draw("maps/b.png", painted(28))
    words = ("control", "a.png", "b.png", "--labels", "maps", "t.png", "-m", "cocosnet", "-o", "o.png")
    assert "takes the look of one exemplar; leave the others out" in refused(2, *words, "--model", models["cocosnet"])


@pytest.mark.parametrize(
    ("code", "words", "said"),
    [
        (2, ("--features", "vgg19"), "--model and --features exclude each other"),
        (2, ("--weights", "w.safetensors"), "--weights: --model needs none"),
        (2, ("--labels", "l.png"), "1 given for the source and 1 target(s); give it once for each, the source first"),
        (2, ("--labels", "l.png", "--labels", "o.png", "--force"), "o.png is an input of this command"),
        (3, ("--labels", "l.png", "--labels", "none.png"), "none.png: no such file"),
        (3, ("--labels", "maps"), "--labels maps: this folder holds no picture named b"),
        (2, ("--labels", "l.png", "--labels", "a.png"), "cocosnet.safetensors knows the labels #000000, #dc7800,"),
        (4, ("--max-memory", "100M"), "above the limit of 100 MB"),
    ],
)
def test_mistakes_with_a_model(
    refused: Refused, draw: Draw, models: dict[str, Path], code: int, words: tuple[str, ...], said: str
) -> None:
    draw("maps/a.png", painted(20))
    assert said in refused(code, *carried(models, *words))


def test_models_that_cannot_be_used(refused: Refused, models: dict[str, Path]) -> None:
    labels = ("--labels", "l.png", "--labels", "lb.png")
    assert "--labels: nothing but a trained network looks at them" in refused(2, *CARRY, *labels)
    assert "none.safetensors does not exist" in refused(5, *CARRY, "--model", "none.safetensors")
    assert "a.png is no model" in refused(5, *CARRY, "--model", "a.png")
    stored = model.read(models["cocosnet"])
    blind = {**stored.settings, "masked": 1}
    model.write(Path("blind.safetensors"), stored.recipe, blind, stored.tensors, stored.facts)
    line = refused(2, *CARRY, "--model", "blind.safetensors", *labels)
    assert "blind.safetensors was trained to do without those of pictures; leave them out" in line
    less = {name: tensor for name, tensor in stored.tensors.items() if not name.endswith("last_image.weight")}
    model.write(Path("less.safetensors"), stored.recipe, stored.settings, less, stored.facts)
    assert "its tensors do not fit its settings" in refused(5, *CARRY, "--model", "less.safetensors")
