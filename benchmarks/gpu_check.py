"""Does texsynth work on this machine's GPU, and how fast? python benchmarks/gpu_check.py [--device cuda] [-o gpu_check]

It needs PyTorch, NumPy, Pillow, PyYAML and safetensors, and nothing else of what the program uses: it installs and
fetches nothing, and does without the native core. Networks that the program would look through are drawn at random in
their true shapes, which takes as long and makes no difference to what is measured. Written into one folder: the checks
of the device, how long runs take there and the memory that they take, a picture of each verb, all in report.json and in
report.txt. Ends with 0 where all checks passed, with 1 where one failed, and with 2 where it cannot run. `--small`
looks at small pictures for a moment, to try the script itself, also with `--device cpu`.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
NEEDED = {"torch": "torch", "numpy": "numpy", "PIL": "pillow", "yaml": "pyyaml", "safetensors": "safetensors"}
LACKING = [package for module, package in NEEDED.items() if find_spec(module) is None]
if not LACKING:
    sys.path.insert(0, str(ROOT))  # where the program is not installed
    import numpy as np
    import torch
    from PIL import Image

    import texsynth
    from texsynth.features import vgg19
    from texsynth.field.quilting import path
    from texsynth.image.picture import Picture, to_array
    from texsynth.runs.run import Result
    from texsynth.task import Event

LAYERS = ("relu2_1", "relu3_1", "relu3_4")  # what the presets of guided correspondence look at
Given = dict[str, Any]


@dataclass(frozen=True)
class Check:
    """Something that has to hold on the device. note: what was seen, or went wrong."""

    name: str
    passed: bool
    note: str


@dataclass(frozen=True)
class Row:
    """What a run took. seconds: of the solver alone, the best of some runs after a first one. whole: with the end of
    the run, without reading and writing. goal: seconds, None where none is set. memory: bytes at the peak on a GPU."""

    name: str
    seconds: float
    whole: float
    goal: float | None
    memory: int


@dataclass
class Report:
    """All that was seen. left_out: what there was no time for."""

    machine: dict[str, str]
    checks: list[Check] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    pictures: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)


@dataclass(frozen=True)
class Bench:
    """The place and the means of the measurements. small: are pictures small and steps few? ends: when to stop, on
    time.perf_counter."""

    device: str
    folder: Path
    small: bool
    ends: float
    weights: Path

    @property
    def late(self) -> bool:
        return time.perf_counter() > self.ends

    @property
    def quality(self) -> str | None:
        return "draft" if self.small else None

    def picture(self, name: str) -> np.ndarray:
        """A picture of samples/, (H, W, 3) or (H, W) of 8 bits: 256 pixels a side, or 24 of them."""
        image = Image.open(ROOT / "samples" / name)
        pixels = np.asarray(image if image.mode in ("L", "RGB", "RGBA") else image.convert("RGB"))
        return pixels[:24, :24] if self.small else pixels[:256, :256]

    def size(self, side: int) -> int:
        """The size of an output that is to have so many pixels a side."""
        return max(16, side // 20) if self.small else side

    def few(self, **settings: Any) -> Given:
        """Where pictures are small, few steps, and these settings."""
        return {"settings": {"steps": 1, **settings}} if self.small else {}

    def write(self, name: str, picture: Picture) -> str:
        """Write a picture into the folder; gives the name of its file."""
        Image.fromarray(to_array(picture)).save(self.folder / f"{name}.png")
        return f"{name}.png"

    def watch(self, _: Event) -> None:
        """End a run that would take too long."""
        if self.late:
            raise KeyboardInterrupt


def main(arguments: list[str] | None = None) -> int:
    options = parsed(arguments)
    if LACKING:
        print(f"gpu_check: error: this Python lacks {', '.join(LACKING)}; install them, or run it by another Python")
        return 2
    kinds = ["cpu", *(["mps"] if torch.backends.mps.is_available() else [])]
    kinds += ["cuda"] if torch.cuda.is_available() else []
    device = kinds[-1] if options.device == "auto" else options.device
    if device not in kinds or (device == "cpu" and options.device == "auto"):
        print(
            f"gpu_check: error: PyTorch {torch.__version__} has no such GPU here; --device cpu --small tries the script"
        )
        return 2
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as spare:
        ends = time.perf_counter() + 60 * options.minutes
        bench = Bench(device, options.output, options.small, ends, network(Path(spare)))
        report = Report(machine_of(device))
        for part in (check_all, measure_all, draw_all):
            part(bench, report, Path(spare))
            written(report, options.output)  # also what is there so far, if a part should end the process
    print((options.output / "report.txt").read_text("utf-8"), end="")
    return 0 if report.passed else 1


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    words = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    words.add_argument("--device", default="auto", choices=["auto", "cuda", "mps", "cpu"], help="default: the GPU")
    words.add_argument("-o", "--output", type=Path, default=Path("gpu_check"), help="the folder that is written into")
    words.add_argument("--minutes", type=float, default=7.5, help="no part starts later than this; default: 7.5")
    words.add_argument("--small", action="store_true", help="small pictures and few steps, to try the script")
    return words.parse_args(arguments)


def machine_of(device: str) -> dict[str, str]:
    """What a reader of the report has to know of the machine."""
    from texsynth import native

    card = {"cuda": torch.cuda.get_device_name, "mps": platform.processor}.get(device, platform.processor)()
    versions = {"texsynth": texsynth.__version__, "torch": torch.__version__, "python": platform.python_version()}
    return {"device": device, "card": card, "system": platform.platform(), **versions, "native core": native.describe()}


def network(folder: Path) -> Path:
    """A file of a VGG-19 with random weights, as far as it is looked at."""
    rng = torch.Generator().manual_seed(0)
    drawn = {}
    for key, shape in vgg19.keys(LAYERS).items():
        deviation = (2 / (9 * shape[1])) ** 0.5 if len(shape) == 4 else 0.05
        drawn[key] = torch.randn(shape, generator=rng) * deviation
    torch.save(drawn, folder / "vgg19.pth")
    return folder / "vgg19.pth"


def written(report: Report, folder: Path) -> None:
    """Write report.json and report.txt."""
    (folder / "report.json").write_text(
        json.dumps({**asdict(report), "passed": report.passed}, indent=2) + "\n", "utf-8"
    )
    lines = [f"{name}: {value}" for name, value in report.machine.items()]
    lines += ["", "Checks", *(f"  {'passed' if c.passed else 'FAILED'}  {c.name}: {c.note}" for c in report.checks)]
    lines += ["", "Runs (seconds of the solver, and with the end of the run; memory at the peak)"]
    for row in report.rows:
        goal = "" if row.goal is None else f", goal {row.goal:g} s: {'met' if row.seconds < row.goal else 'missed'}"
        lines.append(f"  {row.name}: {row.seconds:.2f} s, {row.whole:.2f} s, {row.memory / 1e6:.0f} MB{goal}")
    lines += ["", "Pictures", *(f"  {verb}: {file}" for verb, file in report.pictures.items())]
    lines += [f"left out: {line}" for line in report.left_out]
    (folder / "report.txt").write_text("\n".join(lines) + "\n", "utf-8")


# ---- checks ----


def check_all(bench: Bench, report: Report, _: Path) -> None:
    """Run every check; one that raises has failed, whatever it raises."""
    for name, check in CHECKS.items():
        if bench.late:
            report.left_out.append(f"the check of {name}: no time")
            continue
        try:
            report.checks.append(Check(name, *check(bench)))
        except Exception:  # that is what is asked
            report.checks.append(Check(name, False, traceback.format_exc().strip().splitlines()[-1]))
            traceback.print_exc()


def default(bench: Bench, side: int, device: str = "", **given: Any) -> Result:
    """A run of the default method."""
    words: Given = {"device": device or bench.device, "quality": bench.quality, **given}
    return texsynth.synthesize(bench.picture("pebbles.png"), bench.size(side), **words)


def check_seed(bench: Bench) -> tuple[bool, str]:
    first, second = (to_array(default(bench, 256, seed=3).image) for _ in range(2))
    differs = int((first != second).any(2).sum())
    return differs == 0, f"a second run with the same seed differs in {differs} pixels"


def check_copies(bench: Bench) -> tuple[bool, str]:
    output = to_array(default(bench, 256, exact_copies=True).image)
    colours = {tuple(colour) for colour in bench.picture("pebbles.png").reshape(-1, 3)}
    strange = sum(tuple(colour) not in colours for colour in output.reshape(-1, 3))
    return strange == 0, f"{strange} pixels have a colour that the exemplar lacks"


def check_processor(bench: Bench) -> tuple[bool, str]:
    there, here = (to_array(default(bench, 256, device).image) for device in (bench.device, "cpu"))
    apart = float(np.abs(there.mean((0, 1)) - here.mean((0, 1))).max())
    same = float((there == here).all(2).mean())
    return apart < 12, f"means are {apart:.1f} of 255 from the processor's, {same:.0%} of the pixels are the same"


def check_paths(bench: Bench) -> tuple[bool, str]:
    error = torch.rand(64, 24, 9, generator=torch.Generator().manual_seed(0))
    at, cost = path(error.to(bench.device), 0.5)
    wanted, price = path(error, 0.5)
    return torch.equal(at.cpu(), wanted) and torch.equal(cost.cpu(), price), "cuts are those of the processor"


def check_hole(bench: Bench) -> tuple[bool, str]:
    image, mask = bench.picture("brick.png"), hole_of(bench)
    output = to_array(texsynth.inpaint(image, mask, device=bench.device, quality=bench.quality).image)
    return np.array_equal(output[mask == 0], image[mask == 0]), "pixels outside the hole are untouched"


def check_gradient(bench: Bench) -> tuple[bool, str]:
    there, here = (to_array(transport(bench, 128, device, steps=2).image) for device in (bench.device, "cpu"))
    apart = float(np.abs(there.astype(float) - here).mean())
    return apart < 8, f"after two steps a pixel is {apart:.2f} of 255 from the processor's"


def transport(bench: Bench, side: int, device: str = "", progress: Any = None, **settings: Any) -> Result:
    """A run of patch transport."""
    exemplar, size = bench.picture("pebbles.png"), bench.size(side)
    words: Given = {"device": device or bench.device, "settings": settings or bench.few().get("settings")}
    return texsynth.synthesize(exemplar, size, preset="ot", progress=progress, **words)


CHECKS: dict[str, Callable[[Bench], tuple[bool, str]]] = {
    "seeds": check_seed,
    "copied colours": check_copies,
    "the processor's picture": check_processor,
    "paths of cuts": check_paths,
    "a hole": check_hole,
    "gradients": check_gradient,
}


def hole_of(bench: Bench) -> np.ndarray:
    """A mask with a square in the middle, an eighth of the picture wide."""
    side = len(bench.picture("brick.png"))
    mask = np.zeros((side, side), np.uint8)
    mask[side * 3 // 8 : side // 2, side * 3 // 8 : side // 2] = 255
    return mask


# ---- how long runs take ----


def measure_all(bench: Bench, report: Report, _: Path) -> None:
    progression = (bench.picture("rust_progression.png"), bench.picture("rust_progression.png").T.copy())
    quick = bench.few(passes=1, starts=1, recuts=[0], tries=4)
    gradient = {"preset": "guided-correspondence-neural", "weights": bench.weights, **quick}
    rust = bench.picture("rust.png")
    sides = {256: len(rust), **{side: bench.size(side) for side in (512, 1024)}}

    def guided(**shared: Any) -> Result:
        return texsynth.control(rust, sides[512], progression=progression, device=bench.device, **shared)

    runs: dict[str, tuple[float | None, Callable[..., Result]]] = {
        f"default, {sides[256]} -> {sides[1024]}": (1.0, partial(default, bench, 1024)),
        f"guided correspondence by gradient, {sides[512]}": (10.0, partial(guided, **gradient)),
        f"default, {sides[256]} -> {sides[512]}": (None, partial(default, bench, 512)),
        f"control with one guide, {sides[512]}": (None, partial(guided, quality=bench.quality)),
        f"ot, {sides[256]}": (None, partial(transport, bench, 256)),
    }
    if not bench.small:
        runs["default, 256 -> 2048"] = (None, partial(default, bench, 2048))
    for name, (goal, run) in runs.items():
        times = [] if bench.late else [timed(bench, run) for _ in range(1 if bench.small else 3)]
        complete = [took for took in times if took is not None]
        if len(complete) < max(1, len(times)):
            report.left_out.append(f"{name}: no time")
            continue
        measured = complete[1:] or complete  # the first one warms up
        best, whole = (min(took[part] for took in measured) for part in (0, 1))
        report.rows.append(Row(name, best, whole, None if bench.small else goal, max(took[2] for took in complete)))


def timed(bench: Bench, run: Callable[..., Result]) -> tuple[float, float, int] | None:
    """The seconds of the solver and of the whole run, and its memory on the GPU; None where it took too long."""
    last = [0.0]

    def watch(event: Event) -> None:
        if event.done > 0.999 and bench.device != "cpu":
            wait_for(bench.device)
        last[0] = time.perf_counter()
        bench.watch(event)

    if bench.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    result = run(progress=watch)
    start = time.perf_counter() - result.seconds
    memory = torch.cuda.max_memory_allocated() if bench.device == "cuda" else 0
    return None if result.interrupted else (max(0.0, last[0] - start), result.seconds, memory)


def wait_for(device: str) -> None:
    """Wait until a GPU has done what it was asked."""
    torch.cuda.synchronize() if device == "cuda" else torch.mps.synchronize()


# ---- a picture of each verb ----


def draw_all(bench: Bench, report: Report, spare: Path) -> None:
    """Draw one picture by each verb, and train a network for one; a verb that raises is a failed check."""
    brick, pebbles, rust = (bench.picture(name) for name in ("brick.png", "pebbles.png", "rust.png"))
    progression = (bench.picture("rust_progression.png"), bench.picture("rust_progression.png").T.copy())
    paint, mask = bench.picture("brick_paint.png"), hole_of(bench)
    shared: Given = {"device": bench.device, "progress": bench.watch}
    draft = {**shared, "quality": bench.quality}
    size = bench.size(256)

    def trained() -> Picture:
        model = spare / "net.safetensors"
        settings = {"crop": 32, "metric": "sliced", "checks": 1} if bench.small else {}
        steps = 1 if bench.small else 200
        texsynth.train("texture-net", pebbles, model, steps=steps, settings=settings, device=bench.device)
        return texsynth.synthesize(pebbles, size, model=model, **shared).image

    def scored() -> Picture:
        scores = texsynth.evaluate(pebbles, pebbles[::-1].copy(), device=bench.device)
        report.machine["metrics that scored"] = str(len(scores.names))
        return default(bench, 256).image

    verbs: dict[str, Callable[[], Picture]] = {
        "synthesize": lambda: texsynth.synthesize(brick, size, **draft).image,
        "control": lambda: texsynth.control(rust, size, progression=progression, **draft).image,
        "inpaint": lambda: texsynth.inpaint(brick, mask, **draft).image,
        "barycenter": lambda: texsynth.barycenter([brick, pebbles], size, **shared, **bench.few()).image,
        "edit": lambda: texsynth.edit(brick, reshuffle=True, **draft).image,
        "propagate": lambda: texsynth.propagate(brick, paint, brick[::-1].copy(), device=bench.device).image,
        "train": trained,
        "evaluate": scored,
    }
    for verb, draw in verbs.items():
        if bench.late:
            report.left_out.append(f"a picture by {verb}: no time")
        elif verb == "train" and find_spec("imagecodecs") is None:  # which writes the samples of its course
            report.left_out.append("a picture by train: this Python lacks imagecodecs")
        else:
            try:
                report.pictures[verb] = bench.write(verb, draw())
            except Exception:  # that is what is asked
                report.checks.append(Check(verb, False, traceback.format_exc().strip().splitlines()[-1]))
                traceback.print_exc()


if __name__ == "__main__":
    sys.exit(main())
