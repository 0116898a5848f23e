"""Every shipped preset makes a picture from the command line, small and in few steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from conftest import Refused, Texsynth, array
from networks import random_resnet50, random_vgg
from pictures import spots
from texsynth import methods, preset
from texsynth.image import picture as image

SHIPPED = [  # those that need a model are run by test_recipes.py
    name
    for name in sorted(path.stem for path in preset.folder().glob("*.yaml"))
    if not any(methods.method(stage["method"]).RECIPES for stage in preset.read(name)["stages"])
]
DEEP = {"edit-paper", "guided-correspondence-paper"}  # names a layer that a file may lack


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VGG-19; a ResNet-50 is beside it."""
    folder = tmp_path_factory.mktemp("weights")
    random_resnet50(folder / "resnet50.safetensors")
    return random_vgg(folder / "vgg19.safetensors")


WRITTEN = pytest.mark.usefixtures("exemplar")


@pytest.fixture
def exemplar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: Path) -> np.ndarray:
    monkeypatch.setenv("TEXSYNTH_WEIGHTS", str(network.parent))
    image.write(tmp_path / "a.png", image.Picture(spots(32, 32)))
    return image.to_array(image.read(tmp_path / "a.png"))


def words(name: str) -> list[str]:
    """Few steps, in the stages that take steps."""
    methods = {stage["method"] for stage in preset.read(name)["stages"]}
    few = ["--set", "steps=2"] if "optimise" in methods else []
    return ["synthesize", "a.png", "-o", "o.png", "-s", "32", "-p", name, *few]


@pytest.mark.parametrize("name", [name for name in SHIPPED if name not in DEEP])
def test_it_makes_a_picture(texsynth: Texsynth, exemplar: np.ndarray, name: str) -> None:
    copies = preset.read(name)["stages"][-1]["method"] == "field"
    ran = texsynth(*words(name), "-q", *(["--exact-copies"] if copies else []))
    assert (ran.code, ran.err) == (0, "")
    made = array("o.png")
    assert made.shape == exemplar.shape and made.std() > 10
    if copies:
        assert {tuple(c) for c in made.reshape(-1, 3)} <= {tuple(c) for c in exemplar.reshape(-1, 3)}


@WRITTEN
@pytest.mark.parametrize("name", ["gram", "ot", "field+gram"])
def test_the_same_seed_makes_the_same_bytes(texsynth: Texsynth, name: str) -> None:
    texsynth(*words(name), "-q")
    first = Path("o.png").read_bytes()
    again = texsynth("synthesize", "--from", "o.png", "-o", "b.png", "-q")
    assert (again.code, again.err) == (0, "") and np.array_equal(array("b.png"), array("o.png"))
    texsynth(*words(name), "-q", "--force")
    assert Path("o.png").read_bytes() == first
    texsynth(*words(name), "-q", "--force", "--seed", "1")
    assert not np.array_equal(array("o.png"), array("b.png"))


@pytest.mark.parametrize("name", sorted(DEEP))
def test_a_missing_layer_is_told_before_the_run(
    texsynth: Texsynth, refused: Refused, exemplar: np.ndarray, name: str
) -> None:
    said = refused(5, *words(name))
    assert "relu4_1" in said and "relu3_4" in said and "--set layers=" in said
    assert not Path("o.png").exists()
    ran = texsynth(*words(name), "--set", "correspondence.layers=relu2_1,relu3_1", "-q")
    assert ran.code == 0 and array("o.png").shape == exemplar.shape


@WRITTEN
def test_the_weights_are_recorded(texsynth: Texsynth, network: Path) -> None:
    texsynth(*words("gram"), "-q")
    stored = image.read_metadata("o.png") or {}
    assert {"role": "weights:vgg19", "name": network.name} in [
        {k: v for k, v in entry.items() if k != "sha256"} for entry in stored["inputs"]
    ]


@WRITTEN
def test_other_weights_do_not_repeat_a_run(texsynth: Texsynth, refused: Refused, tmp_path: Path) -> None:
    texsynth(*words("gram"), "-q")
    other = random_vgg(tmp_path / "other.safetensors", seed=1)
    said = refused(3, "synthesize", "--from", "o.png", "-o", "b.png", "--weights", other)
    assert "other.safetensors is not vgg19.safetensors" in said and not Path("b.png").exists()


@WRITTEN
@pytest.mark.parametrize("network_is", ["given", "in a folder"])
def test_weights_are_found(texsynth: Texsynth, network: Path, monkeypatch: pytest.MonkeyPatch, network_is: str) -> None:
    if network_is == "given":
        monkeypatch.delenv("TEXSYNTH_WEIGHTS")
        assert texsynth(*words("gram"), "-q", "--weights", network).code == 0
    else:
        monkeypatch.setenv("TEXSYNTH_WEIGHTS", str(network.parent))
        assert texsynth(*words("gram"), "-q").code == 0


@WRITTEN
def test_nothing_is_downloaded_unasked(refused: Refused, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TEXSYNTH_WEIGHTS")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TEXSYNTH_OFFLINE", "1")
    assert "--weights FILE" in refused(5, *words("gram"))


@pytest.mark.parametrize("flag", ["--tile", "--init"])
def test_optimised_results_take_the_common_flags(texsynth: Texsynth, exemplar: np.ndarray, flag: str) -> None:
    value = "xy" if flag == "--tile" else "a.png"
    assert texsynth(*words("ot"), "-q", flag, value).code == 0
    assert array("o.png").shape == exemplar.shape


@WRITTEN
def test_several_exemplars_and_variations(texsynth: Texsynth, tmp_path: Path) -> None:
    image.write(tmp_path / "b.png", image.Picture(spots(32, 40, seed=1)))
    given = ["synthesize", "a.png", "b.png", *words("gram")[2:]]
    assert texsynth(*given, "-q", "-n", "2").code == 0
    assert not np.array_equal(array("o-1.png"), array("o-2.png"))


@WRITTEN
@pytest.mark.parametrize("guide", ["--progression", "--labels", "--orientation"])
@pytest.mark.parametrize("name", ["guided-correspondence", "guided-correspondence-neural", "layout+field"])
def test_guides_go_with_presets(texsynth: Texsynth, guide: str, name: str) -> None:
    """Field and gradient take every kind of guide; two targets make two pictures."""
    half = np.zeros((32, 32), np.uint8)
    half[:, 16:] = 255
    image.write(Path("m.png"), image.from_array(half))
    image.write(Path("t.png"), image.from_array(half.T.copy()))
    one_start = ["--set", "starts=1"] if any(s["method"] == "field" for s in preset.read(name)["stages"]) else []
    made = []
    for number, target in enumerate(("m.png", "t.png")):
        given = [guide, "m.png", target] if guide != "--orientation" else [guide, ("angle:20", "circle")[number]]
        ran = texsynth("control", *words(name)[1:], *one_start, *given, "-o", f"{number}.png", "-q")
        assert (ran.code, ran.err) == (0, "")
        made.append(array(f"{number}.png"))
    assert not np.array_equal(*made)
