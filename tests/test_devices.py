"""Every verb, kind of preset and recipe runs on a GPU, as a pretended one tells; and asks little of it."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from pathlib import Path
from typing import Any

import gpu_check
import numpy as np
import pytest
import torch

import texsynth as package
from networks import random_resnet50, random_vgg
from pictures import spots, white
from pretended import PretendedDevice
from texsynth.cli import main
from texsynth.image import picture as image

SIDE = 32
FOLDER = Path(package.__file__).parent
BOTH = "cuda and mps"  # one run, with what either refuses
FEW = "--set steps=1"
QUICK = f"{FEW} --set passes=1 --set starts=1 --set recuts=0 --set tries=4"
ONE = "--quality draft --set passes=1"
RUNS = {  # where OUT is the folder that outputs go to
    "default": "synthesize a.png -o OUT/o.png -s 28 --set passes=1",
    "tile": f"synthesize a.png b.png -o OUT/o.png -s 24 --tile xy {ONE} --map h=p.png --map h=p.png --save-field",
    "variations": f"synthesize a.png -o OUT/o.png -s 24 -n 2 --pick best --exact-copies {ONE}",
    "high": "synthesize a.png -o OUT/o.png -s 24 --quality high --set passes=1 --set recuts=2 --set starts=2",
    "ot": f"synthesize a.png -o OUT/o.png -s 24 -p ot {FEW}",
    "ot-paper": f"synthesize a.png -o OUT/o.png -s 24 -p ot-paper {FEW}",
    "ot-mixed": f"synthesize a.png -o OUT/o.png -s 24 -p ot-mixed {FEW}",
    "ot-features": f"synthesize a.png -o OUT/o.png -s 24 -p ot-features {FEW}",
    "gram": f"synthesize a.png -o OUT/o.png -s 24 -p gram {FEW}",
    "gram-windows": f"synthesize a.png -o OUT/o.png -s 24 -p gram-windows {FEW}",
    "sliced": f"synthesize a.png -o OUT/o.png -s 24 -p sliced {FEW}",
    "field+gram": f"synthesize a.png -o OUT/o.png -s 24 -p field+gram {QUICK}",
    "layout+field": f"synthesize a.png -o OUT/o.png -s 24 -p layout+field {QUICK}",
    "field+correspondence": f"synthesize a.png -o OUT/o.png -s 24 -p field+correspondence {QUICK}",
    "progression": f"control a.png --progression p.png q.png -o OUT/o.png -s 24 {ONE}",
    "orientation": f"control a.png --orientation circle -o OUT/o.png -s 24 {ONE}",
    "labels": f"control a.png --labels l.png m.png -o OUT/o.png -s 24 {ONE} --guide-weight-map q.png",
    "label exemplars": "control --label-exemplar black=a.png --label-exemplar white=b.png --label-map m.png "
    f"-o OUT/o.png -s 24 {ONE}",
    "guided gradient": f"control a.png --progression p.png q.png --orientation circle -o OUT/o.png -s 24 {QUICK} "
    "-p guided-correspondence-neural",
    "inpaint": f"inpaint a.png --mask l.png -o OUT/o.png {ONE}",
    "make-tileable": f"inpaint a.png --make-tileable xy -o OUT/o.png {ONE} --check",
    "extend": f"inpaint a.png --extend 0,0,6,0 -o OUT/o.png {ONE}",
    "inpaint by gradient": f"inpaint a.png --mask l.png -o OUT/o.png -p ot {FEW}",
    "barycenter": f"barycenter a.png b.png -o OUT/o.png -s 24 --blend 0.3,0.7 {FEW}",
    "barycenter map": f"barycenter a.png b.png -o OUT/o.png -s 24 --blend-map q.png {FEW} -p barycenter-sliced",
    "mosaic": f"barycenter a.png b.png -o OUT/o.png -s 24 --blend-map q.png --mode mosaic {ONE}",
    "move": f"edit a.png --mask l.png --target-mask m.png -o OUT/o.png {ONE}",
    "retarget": f"edit a.png --retarget 30x20 -o OUT/o.png {ONE}",
    "reshuffle": f"edit a.png --reshuffle -o OUT/o.png {ONE}",
    "remove": f"edit a.png --remove l.png -o OUT/o.png {ONE}",
    "edit-neural": f"edit a.png --reshuffle -o OUT/o.png -p edit-neural {QUICK}",
    "propagate": "propagate a.png layer.png b.png -o OUT/o.png --save-layer",
    "propagate by features": "propagate a.png layer.png b.png -o OUT/o.png --features vgg19",
    "maps normal": "maps normal p.png -o OUT/o.png --tile x",
    "maps height": "maps height n.png -o OUT/o.png",
    "maps occlusion": "maps occlusion p.png -o OUT/o.png",
    "maps stereo": "maps stereo a.png b.png p.png q.png --lights lamps.txt -o OUT/made/ --height",
    "evaluate": "evaluate a.png b.png --metric all",
    "evaluate guides": "evaluate a.png b.png --progression p.png q.png --labels l.png m.png --orientation circle",
}
SLIM = "--set crop=16 --set width=4 --set hidden=4 --set discriminator_width=4 --set discriminator_layers=2"
LABELS = ("--labels l.png", "control a.png --labels l.png m.png")
TRAININGS = {  # the settings and maps of a training, and the command that its model is used by
    "texture-net": ("--set levels=2 --set crop=16 --set metric=sliced", "synthesize a.png"),
    "pseudo-optimizer": ("--set crop=32 --set width=0.1", "synthesize a.png"),
    "optimal-textures": ("--set layers=relu1_1,relu2_1 --set crop=16", "synthesize a.png --tile xy"),
    "spade": (f"{SLIM} --set levels=2 --progression p.png", "control a.png --progression p.png q.png"),
    "msca": (
        f"{SLIM} --set channels=4,4,4,4,4 --set regions=3 --set draws=1 {LABELS[0]}",
        f"{LABELS[1]} --save-attention OUT/seen",
    ),
    "cocosnet": (
        f"{SLIM} --set levels=2 --set adaptor=4 --set descriptor=8 --set context_sample=16 {LABELS[0]}",
        f"{LABELS[1]} --save-warp",
    ),
}

# Where the program asks which kind it is (optimal_textures/matching.py), and one run each of a search, of a descent and
# of a training, in case that torch does.
APART = {"default", "gram", "spade", "optimal-textures"}


def on_devices(runs: dict[str, Any]) -> list[tuple[str, str]]:
    """Each run on a device that stands for both kinds, or on one of each."""
    return [(name, kind) for name in runs for kind in (("cuda", "mps") if name in APART else (BOTH,))]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures, maps and weights."""
    folder = tmp_path_factory.mktemp("desk")
    random_resnet50(folder / "resnet50.safetensors")
    random_vgg(folder / "vgg19.safetensors")
    ramp = torch.linspace(0, 1, SIDE).expand(1, 1, SIDE, SIDE)
    for name, pixels in {
        "large": spots(128, 128),
        "a": spots(SIDE, SIDE),
        "b": spots(SIDE, SIDE, 1),
        "p": ramp,
        "q": ramp.mT,
    }.items():
        image.write(folder / f"{name}.png", image.Picture(pixels))
    image.write(folder / "n.png", image.Picture(torch.tensor([0.6, 0.5, 0.99])[:, None, None].expand(1, 3, SIDE, SIDE)))
    (folder / "lamps.txt").write_text("1 0 1\n0 1 1\n-1 -1 1\n0 0 1")
    layer = np.zeros((SIDE, SIDE, 4), np.uint8)
    layer[5:15, 8:20] = (200, 30, 0, 255)
    areas = {"l": white((SIDE, SIDE), np.s_[7:15, 6:16]), "m": white((SIDE, SIDE), np.s_[10:18, 9:19])}
    for name, values in {"layer": layer, **areas}.items():
        image.write(folder / f"{name}.png", image.from_array(values))
    return folder


@pytest.fixture
def here(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands run in the folder of pictures and find the weights."""
    monkeypatch.chdir(desk)
    monkeypatch.setenv("TEXSYNTH_WEIGHTS", str(desk))


def run(kind: str, line: str, out: Path) -> None:
    """Run a command on a pretended device, and assert that it goes well there."""
    words = shlex.split(line.replace("OUT", str(out)))
    word = "cuda" if kind == BOTH else kind
    with PretendedDevice(word, FOLDER, strict=kind == BOTH) as device:
        code = main([*words, "--device", word, "-q"])
    assert (code, device.errors) == (0, [])
    assert device.launches.total() > 0


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("name", "kind"), on_devices(RUNS))
def test_it_runs_on_a_device(name: str, kind: str, tmp_path: Path) -> None:
    run(kind, RUNS[name], tmp_path)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("recipe", "kind"), on_devices(TRAININGS))
def test_it_trains_on_a_device(recipe: str, kind: str, tmp_path: Path) -> None:
    words, use = TRAININGS[recipe]
    run(kind, f"train {recipe} a.png -o OUT/m.safetensors --steps 1 --set checks=1 {words}", tmp_path)
    run(kind, f"{use} --model OUT/m.safetensors -o OUT/o.png -s 16", tmp_path)


def test_a_device_refuses_what_a_real_one_does() -> None:
    """The pretended device is itself checked: both sides in one operation, numpy, kinds of numbers, generators."""
    with PretendedDevice("cuda") as device:
        there, here = torch.ones(3, device="cuda"), torch.ones(3)
        assert there.device.type == "cuda" and (there * 2).is_cuda and not there.cpu().is_cuda
        for wrong in (
            lambda: there + here,
            lambda: there.numpy(),
            lambda: torch.rand(3, device="cuda", generator=torch.Generator()),
            lambda: there.long().view(1, 3) @ there.long(),
        ):
            with pytest.raises((RuntimeError, TypeError)):
                wrong()
        there.double()
        assert len(device.errors) == 4 and device.waits.total() == 1
    with PretendedDevice("mps") as device:
        assert (torch.ones(3, device="mps") > 0).any() and device.waits.total() == 1
        torch.ones(1, 3, device="mps").long() @ torch.ones(3, device="mps").long()
    for kind, strict in (("mps", False), ("cuda", True)):
        with PretendedDevice(kind, strict=strict), pytest.raises(TypeError):
            torch.ones(3, device=kind).double()
    with PretendedDevice("mps", strict=True), pytest.raises(NotImplementedError):
        torch.ones(1, 3, device="mps").long() @ torch.ones(3, device="mps").long()


def test_only_sums_of_floats_in_any_order_are_unsteady() -> None:
    with PretendedDevice("cuda") as device:
        at = torch.zeros(3, dtype=torch.long, device="cuda")
        torch.zeros(2, dtype=torch.long, device="cuda").scatter_add_(0, at, at)
        at.bincount(), at.cumsum(0), torch.zeros(2, device="cuda").index_put_((at,), at.float(), accumulate=True)
        assert not device.unsteady
        torch.zeros(2, device="cuda").scatter_add_(0, at, at.float())
        at.bincount(at.float()), at.float().cumsum(0)
        torch.zeros(2, device="cuda")[at] = at.float()
    assert [name for _, name in device.unsteady] == ["scatter_add", "bincount", "cumsum", "index_put"]


def test_the_check_of_a_gpu_reports_in_one_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Small, on the processor: what a machine that has one will run."""
    if not (torch.cuda.is_available() or torch.backends.mps.is_available()):
        assert gpu_check.main(["-o", str(tmp_path / "none")]) == 2
        assert "no such GPU here" in capsys.readouterr().out
    code = gpu_check.main(["--small", "--device", "cpu", "-o", str(tmp_path)])
    report = json.loads((tmp_path / "report.json").read_text())
    assert (code, report["left_out"]) == (0, []), report
    assert len(report["rows"]) == 5 and all(row["seconds"] > 0 for row in report["rows"])
    assert all((tmp_path / name).exists() for name in report["pictures"].values()) and len(report["pictures"]) == 8
    assert (tmp_path / "report.txt").read_text() == capsys.readouterr().out
    monkeypatch.setattr(gpu_check, "LACKING", ["pyyaml"])
    assert gpu_check.main(["-o", str(tmp_path)]) == 2 and "lacks pyyaml" in capsys.readouterr().out


def test_the_check_of_a_gpu_fails_where_a_check_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_check, "CHECKS", {"nothing": lambda _: (False, "it does not hold")})
    monkeypatch.setattr(gpu_check, "measure_all", lambda *_: None)
    monkeypatch.setattr(gpu_check, "draw_all", lambda *_: None)
    assert gpu_check.main(["--small", "--device", "cpu", "-o", str(tmp_path)]) == 1
    assert "FAILED  nothing: it does not hold" in (tmp_path / "report.txt").read_text()


@pytest.fixture(scope="module")
def counted(desk: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[PretendedDevice, Path]:
    """A run of the default method on a pretended GPU, with its picture and that of the processor."""
    folder = tmp_path_factory.mktemp("counted")
    words = ["synthesize", str(desk / "large.png"), "-s", "112", "-q", "--no-metadata", "--exact-copies"]
    with PretendedDevice("cuda", FOLDER) as device:
        assert main([*words, "--device", "cuda", "-o", str(folder / "there.png")]) == 0
    assert main([*words, "--device", "cpu", "-o", str(folder / "here.png")]) == 0
    return device, folder


def at(counter: Counter[Any], *parts: str) -> int:
    """The sum of a counter over lines of these parts of the program, wherever they were called from."""
    return sum(
        count for key, count in counter.items() if str(key[0] if isinstance(key, tuple) else key).startswith(parts)
    )


def test_a_device_is_asked_for_little(counted: tuple[PretendedDevice, Path]) -> None:
    """Pieces are laid on the processor; a pass asks for all candidates of its pixels without waiting between them."""
    device, _ = counted
    assert at(device.launches, "field/quilt.py", "field/recut.py", "field/fill.py", "field/search.py") == 0
    assert at(device.launches, "field/") < 15_000
    passes = at(Counter({key: 1 for key in device.waits if key[1] == "nonzero"}), "field/sweep.py")
    assert passes == 1, "the only wait of a pass is for the pixels to improve"
    assert at(device.waits, "field/sweep.py", "field/guide.py", "field/potential.py") <= 5 * 12
    assert device.waits.total() < 400


def test_a_device_gives_the_picture_of_the_processor(counted: tuple[PretendedDevice, Path]) -> None:
    """Sums are rounded elsewhere, which decides between equals; most pixels are the same."""
    here, there = (image.to_array(image.read(counted[1] / f"{name}.png")) for name in ("here", "there"))
    assert (here == there).all(2).mean() > 0.5


def test_no_sum_that_decides_depends_on_an_order(counted: tuple[PretendedDevice, Path]) -> None:
    """Of the default method; what is left writes every place once, or the same value, or counts in whole numbers."""
    sums = {key for key in counted[0].unsteady if key[1] not in ("index_put", "median")}
    assert all(site.startswith("field/tone.py") and name == "cumsum" for (site, name) in sums), sums
