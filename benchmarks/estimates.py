"""What runs are said to take, beside what they take: python benchmarks/estimates.py [--only WORD] [--up-to SIDE]

Every line is one command without weights: first with --dry-run, which says its memory and seconds, then in earnest.
Memory is the kernel's own count of the process (the high-water mark of its resident set), in which Python, PyTorch and
all that is read and written are included; seconds are those of the whole command. A line is out of bounds where the
memory is more than 25 % off, or the time by more than a factor of 1.5. Times mean something on an idle machine only.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from field import SAMPLES, Measured, exemplar, machine, taken_by

MEMORY_OFF, TIME_OFF = 1.25, 1.5  # the factors that an estimate may be off
SIDES = (256, 512, 1024, 2048, 4096)
MEGABYTE = 1e6


@dataclass(frozen=True)
class Work:
    """One command. side: The longer side of what it makes or reads. words: Its arguments; {photo:512} stands for an
    input of that kind and side, see `draw`."""

    side: int
    words: str


def works() -> Iterator[Work]:
    """Every verb and preset that needs no weights, at the sides that it is used at."""
    for side in SIDES:
        yield Work(side, f"synthesize {{photo:256}} -s {side}")
    for side in SIDES[:4]:
        yield Work(side, f"synthesize {{gravel:{side}}} -s {side}")
    yield Work(4096, "synthesize {gravel:4096} -s 1024")
    for side in (512, 2048):
        yield Work(side, f"synthesize {{gravel:256}} -s {side} --quality draft")
    yield Work(1024, "synthesize {gravel:256} -s 1024 --quality high")
    for side in (512, 1024):
        yield Work(side, f"synthesize {{photo:256}} -s {side} --tile xy --set copies=flips")
        yield Work(side, f"synthesize {{gravel:256}} -s {side} -p layout+field")
    yield Work(1024, "synthesize {photo:256} -s 1024 --map normal={photo:512} --map height={height:256}")
    yield Work(1024, "synthesize {cut-out:1024} -s 1024 --alpha keep --quality draft")
    yield Work(1024, "synthesize {cut-out:1024} -s 1024 --quality draft")
    yield Work(2048, "synthesize {deep:2048} -s 2048 --quality draft --map height={height:2048}")
    yield Work(4096, "synthesize {photo:1024} -s 1024 --quality draft --map normal={photo:4096}")
    for side in (256, 512):
        yield Work(side, f"synthesize {{gravel:256}} -s {side} -p gram-windows")
    for preset in ("barycenter", "barycenter-draft", "barycenter-sliced"):
        yield Work(256, f"barycenter {{photo:256}} {{gravel:256}} -s 256 -p {preset}")
    yield Work(256, "synthesize {photo:256} -s 256 -p ot")
    for side in (512, 1024, 2048):
        yield Work(side, f"barycenter {{photo:256}} {{gravel:256}} -s {side} --mode mosaic")
        yield Work(side, f"control {{photo:256}} --progression {{height:256}} {{height:{side}}}")
        yield Work(side, f"control {{gravel:256}} --labels {{disc:256}} {{disc:{side}}}")
    for side in (512, 1024):
        yield Work(side, f"control {{photo:256}} --orientation circle -s {side}")
    for side in SIDES[:4]:
        yield Work(side, f"inpaint {{gravel:{side}}} --mask {{disc:{side}}}")
        yield Work(side, f"inpaint {{gravel:{side}}} --make-tileable xy")
        yield Work(side, f"inpaint {{gravel:{side}}} --extend 0,0,{side // 4},0")
    for side in SIDES[:3]:
        yield Work(side, f"edit {{gravel:{side}}} --remove {{disc:{side}}}")
        yield Work(side, f"edit {{gravel:{side}}} --reshuffle")
        yield Work(side, f"edit {{gravel:{side}}} --retarget {side * 3 // 2}x{side}")
        yield Work(side, f"edit {{gravel:{side}}} --mask {{disc:{side}}} --target-mask {{bar:{side}}}")
    for side in SIDES[:4]:
        yield Work(side, f"propagate {{gravel:{side}}} {{cut-out:{side}}} {{photo:{side}}}")
    yield Work(256, "train texture-net {gravel:256} --steps 100 --set checks=2")
    for recipe in ("spade", "msca", "cocosnet"):
        yield Work(256, f"train {recipe} {{gravel:256}} --labels {{disc:256}} --steps 50 --set checks=2")


def draw(kind: str, side: int, path: Path) -> None:
    """An input of a square of `side` pixels."""
    import numpy as np

    from texsynth.image import picture as image

    if kind in ("photo", "gravel"):
        exemplar(side, SAMPLES / {"photo": "brick.png", "gravel": "gravel.jpg"}[kind], path)
        return
    y, x = np.mgrid[:side, :side] / side - 0.5
    disc, slope = np.hypot(y, x) < 0.2, 0.5 + 0.5 * np.sin(9 * x + 5 * y)
    if kind in ("cut-out", "deep"):
        exemplar(side, SAMPLES / "brick.png", path)
        colours = image.to_array(image.read(path))
        opacity = np.where(disc, 0, 255).astype(np.uint8)[..., None]
        deep = colours.astype(np.uint16) * 257
        image.write(path, image.from_array(deep if kind == "deep" else np.concatenate([colours, opacity], 2)))
        return
    grey = {"disc": 255 * disc, "bar": 255 * (np.abs(y) < 0.1), "height": 65535 * slope}[kind]
    image.write(path, image.from_array(grey.astype(np.uint16 if kind == "height" else np.uint8)))


def inputs(words: str, folder: Path) -> list[str]:
    """The arguments, with the inputs that they name in `folder`; each is drawn in a process of its own, since the
    kernel's count of a process begins with the size of its parent."""
    arguments = []
    for word in words.split():
        before, brace, name = word.rstrip("}").partition("{")
        if not brace:
            arguments.append(word)
            continue
        kind, _, side = name.partition(":")
        path = folder / f"{kind}-{side}.png"
        if not path.exists():
            maker = multiprocessing.get_context("spawn").Process(target=draw, args=(kind, int(side), path))
            maker.start()
            maker.join()
        arguments.append(f"{before}{path}")
    return arguments


def line(work: Work, planned: dict[str, float], taken: Measured) -> str:
    """One line of the table."""
    memory, seconds = planned["memory_bytes"] / taken.memory, planned["seconds"] / taken.seconds
    verdicts = []
    if not 1 / MEMORY_OFF <= memory <= MEMORY_OFF:
        verdicts.append("MEMORY")
    if not 1 / TIME_OFF <= seconds <= TIME_OFF:
        verdicts.append("TIME")
    name = work.words.replace("{", "").replace("}", "").replace(":", " ")
    return "| " + " | ".join(
        [
            name,
            f"{planned['memory_bytes'] / MEGABYTE:.0f}",
            f"{taken.memory / MEGABYTE:.0f}",
            f"{memory:.2f}",
            f"{planned['seconds']:.1f}",
            f"{taken.seconds:.1f}",
            f"{taken.processor:.1f}",
            f"{seconds:.2f}",
            " ".join(verdicts),
        ]
    ) + " |"  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="the commands that contain this")
    parser.add_argument("--up-to", type=int, default=SIDES[-1], help="the largest side (default %(default)s)")
    parser.add_argument("--threads", type=int, help="of every command; default: those of PyTorch")
    args = parser.parse_args()
    print(f"{machine()}\n")
    print("| work | MB said | MB taken | ratio | s said | s taken | processor s | ratio | out of bounds |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    extra = [] if args.threads is None else ["--threads", str(args.threads)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for work in works():
            if work.side <= args.up_to and args.only in work.words:
                arguments = [*inputs(work.words, folder), *extra]
                said = taken_by([*arguments, "--dry-run"], folder)[1]
                taken = taken_by(arguments, folder)[0]
                planned = said["runs"][0] if "runs" in said else said
                print(line(work, planned, taken), flush=True)


if __name__ == "__main__":
    main()
