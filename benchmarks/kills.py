"""Kills: python benchmarks/kills.py [--kills 200] [--seed 0]

Every kill ends a command that writes over its own earlier results with SIGKILL, at a random moment of its time or
before a random one of its operations on files. Then each file is whole: that of before or that of the whole run. The
picture, which is written last, stands for everything that belongs to it. Run once more, the command leaves just what it
leaves when nothing stops it: no file more, and none that is another. Pages are checked for their end only: they tell
times.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from fuzzing import child, judge, seeds

COMMANDS = (
    "synthesize a.png -s 32 --map m=map.png --save-field --report out.html -o out.png",
    "synthesize a.png -s 24 -n 3 -o out.png",
    "synthesize a.png o.png -s 24 --quality draft -o folder/",
    "synthesize a.png -s 32 -o out.jpg",
    "inpaint a.png --make-tileable xy --preview -o out.png",
    "control a.png --progression map.png map.png --save-guides guides -o out.tif",
    "barycenter a.png o.png -s 16 --mode mosaic -o out.webp",
    "edit a.png --mask mask.png --target-mask bits.png --map m=map.png -o out.png",
    "propagate a.png layer.png a.png o.png --save-layer --save-warp -o folder/",
    "evaluate a.png o.png --report out.html --csv out.csv",
    "guide orientation a.png -o out.npy --strokes strokes.png",
    "train texture-net a.png -p t.yaml --set checks=3 --steps 6 -o out.safetensors",
)


@dataclass(frozen=True)
class Whole:
    """What a command leaves when nothing stops it: with one seed, and then, over that, with another.

    seconds: how long the second run took.
    """

    words: tuple[str, ...]
    before: Mapping[str, bytes]
    after: Mapping[str, bytes]
    seconds: float


def whole(line: str, good: Path, root: Path) -> Whole:
    """Run a command with two seeds."""
    put({name: (good / name).read_bytes() for name in re.split("[ =]", line) if (good / name).is_file()}, root)
    _, before, _ = ran(words_of(line, 1), root)
    code, after, seconds = ran(words_of(line, 2), root)
    if code != 0:
        raise SystemExit(f"{line} fails: exit code {code}")
    return Whole(words_of(line, 2), before, after, seconds)


def words_of(line: str, seed: int) -> tuple[str, ...]:
    """A command that may write over what is there."""
    words = tuple(line.split())
    return (*words, "--force", *(() if words[0] == "guide" else ("--seed", str(seed), "-q", "--threads", "1")))


def put(files: Mapping[str, bytes], root: Path) -> None:
    """Write files into the folder in which a command runs, and a folder for those that need one."""
    (root / "work" / "folder").mkdir(parents=True)
    for name, content in files.items():
        (root / "work" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "work" / name).write_bytes(content)


def ran(words: Sequence[str], root: Path, kill: float | int | None = None) -> tuple[int, dict[str, bytes], float]:
    """The exit code of a run, all files after it, and its seconds."""
    start = time.perf_counter()
    did = child.run(words, root, kill=kill)
    return did.code, judge.snapshot(root / "work"), time.perf_counter() - start


def wrong_after(command: Whole, root: Path, kill: float | int) -> list[str]:
    """Kill a command that runs over its earlier results, then run it again; everything that is wrong."""
    put(command.before, root)
    code, files, _ = ran(command.words, root, kill)
    out = [] if code in (0, -9) else [f"exit code {code} of a run that was to be killed"]
    for name, content in files.items():
        if content in (command.before.get(name), command.after.get(name)) or name.endswith(".part"):
            continue
        out += [f"{name}: {problem}" for problem in judge.unreadable(root / "work" / name)]
    out += [f"{name} is gone" for name in command.before.keys() - files.keys()]
    target = command.words[command.words.index("-o") + 1] if "-o" in command.words else ""
    if files.get(target, b"") == command.after.get(target) != command.before.get(target):
        out += [f"{name} is older than {target}" for name in differing(files, command.after)]
    code, files, _ = ran(command.words, root)
    out += [f"the next run ends with exit code {code}"] if code != 0 else []
    out += [f"{name} is left after the next run" for name in files.keys() - command.after.keys()]
    return [*out, *(f"{name} is another after the next run" for name in differing(files, command.after))]


def differing(files: Mapping[str, bytes], wanted: Mapping[str, bytes]) -> list[str]:
    """The names of files that are not as they are wanted."""
    return [name for name in wanted if files.get(name) != wanted[name] and not name.endswith(".html")]


def main() -> int:
    """Kill, and tell what was wrong; 1 where anything was."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rng, counts = Random(options.seed), Counter[str]()
    with tempfile.TemporaryDirectory(prefix="kills-") as name:
        scratch = Path(name).resolve()
        (scratch / "good").mkdir()
        seeds.draw(scratch / "good")
        commands = [whole(line, scratch / "good", scratch / f"whole{n}") for n, line in enumerate(COMMANDS)]
        for number in range(options.kills):
            command = commands[number % len(commands)]
            kill = rng.randrange(24) if rng.random() < 0.5 else rng.uniform(0, 1.1) * command.seconds
            for wrong in wrong_after(command, scratch / str(number), kill):
                counts[wrong] += 1
                print(f"{number} {kill}: {wrong}: texsynth {' '.join(command.words)}", flush=True)
            shutil.rmtree(scratch / str(number))
    print(f"{options.kills} kills, {counts.total()} findings")
    return int(bool(counts))


if __name__ == "__main__":
    sys.exit(main())
