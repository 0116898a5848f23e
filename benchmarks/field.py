"""Time and memory of whole `texsynth synthesize` commands: python benchmarks/field.py [--quick] [--repeats N]

Every run is a process of its own, so starting Python and importing torch are inside the figures. Peak memory
is the kernel's own count of the process (the high-water mark of its resident set), no estimate. That count
starts from the size of the parent, so nothing large is ever loaded into this process.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from math import log
from pathlib import Path
from typing import Any

SAMPLES = Path(__file__).parent.parent / "samples"
BASE = 256  # every row but the last starts from an exemplar of this size


@dataclass(frozen=True)
class Row:
    """One line of the table. seconds and memory (bytes) are the limits that the project set itself."""

    name: str
    source: int
    target: int
    seconds: float
    memory: float
    device: str = "cpu"


@dataclass(frozen=True)
class Run:
    """One measured process. solver: seconds inside the solver as the command reports them, if it does."""

    seconds: float
    memory: int
    solver: float | None


QUICK = (
    Row("256 -> 512", BASE, 512, 6, 1.2e9),
    Row("256 -> 1024", BASE, 1024, 20, 1.5e9),
)
ALL = (
    *QUICK,
    Row("256 -> 2048", BASE, 2048, float("inf"), float("inf")),
    Row("256 -> 4096", BASE, 4096, 300, 6e9),
    Row("4096 -> 1024", 4096, 1024, 60, 6e9),
)
GPU = Row("256 -> 1024, cuda", BASE, 1024, float("inf"), float("inf"), "cuda")


@dataclass(frozen=True)
class Measured:
    """What a process took: seconds of the clock and of the processor, and bytes."""

    seconds: float
    processor: float
    memory: int


def taken_by(arguments: Sequence[str], folder: Path) -> tuple[Measured, Any]:
    """What a texsynth command took, and what it says with --json."""
    output = folder / ("out.safetensors" if arguments[0] == "train" else "out.png")
    command = [sys.executable, "-m", "texsynth", *arguments, "-o", str(output), "--force", "--json"]
    taken, said = taken_by_process([*command, "--progress", "none"], folder, " ".join(arguments))
    return taken, json.loads(said)


def taken_by_process(command: Sequence[str], folder: Path, name: str) -> tuple[Measured, str]:
    """Run a command and wait for exactly that process; what it took, and what it printed. Ends this one with a line
    that begins with `name` where it cannot be run or fails."""
    with (folder / "stdout").open("w+") as stdout, (folder / "stderr").open("w+") as stderr:
        start = time.perf_counter()
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr)
        except OSError as error:
            sys.exit(f"{name}: cannot be run ({error.strerror})")
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        stdout.seek(0)
        stderr.seek(0)
        if process.returncode != 0:
            said = stderr.read().strip().splitlines() or ["it says nothing"]
            sys.exit(f"{name}: exit {process.returncode}: {said[-1]}")
        unit = 1 if sys.platform == "darwin" else 1024
        return Measured(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit), stdout.read()


def measure(source: Path, row: Row, folder: Path) -> Run:
    """Run the command of a row once."""
    arguments = ["synthesize", str(source), "--size", str(row.target), "--device", row.device]
    taken, record = taken_by([*arguments, "--max-memory", "16G", "--seed", "1"], folder)
    return Run(taken.seconds, taken.memory, solver_seconds(record))


def solver_seconds(record: object) -> float | None:
    """The seconds of the run without start and files, as the command's JSON object reports them."""
    match record:
        case {"runs": [{"seconds": float(seconds)}]}:
            return seconds
    return None


def prepare(size: int, source: Path, folder: Path) -> Path:
    """`exemplar` in a process of its own."""
    path = folder / f"exemplar-{size}.png"
    maker = multiprocessing.get_context("spawn").Process(target=exemplar, args=(size, source, path))
    maker.start()
    maker.join()
    if maker.exitcode != 0:
        sys.exit(f"{source} could not be brought to {size}x{size}")
    return path


def exemplar(size: int, source: Path, path: Path) -> None:
    """`source` brought to size x size: cropped when larger, else mirrored again and again, with noise so that
    no two places are alike."""
    import torch

    from texsynth.image import picture as image

    picture = image.read(source)
    pixels = picture.pixels[:, :3, :size, :size]
    while min(pixels.shape[2:]) < size:
        pixels = torch.cat([pixels, pixels.flip(3)], 3)
        pixels = torch.cat([pixels, pixels.flip(2)], 2)
    pixels = pixels[:, :, :size, :size]
    if size > min(picture.pixels.shape[2:]):
        noise = torch.randn(pixels.shape, generator=torch.Generator().manual_seed(0))
        pixels = (pixels + 0.02 * noise).clamp(0, 1)
    image.write(path, image.Picture(pixels))


def has_cuda() -> bool:
    """Asked in a process of its own, so that this one stays small."""
    code = "import sys, torch; sys.exit(not torch.cuda.is_available())"
    return subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def machine() -> str:
    """Processor, cores this process may use, and the versions that matter."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {cores} cores, Python {platform.python_version()}, torch {version('torch')}"


def line(row: Row, runs: list[Run]) -> str:
    """One table line: median, range, peak memory, and whether the limits hold."""
    seconds = [run.seconds for run in runs]
    solver = [run.solver for run in runs if run.solver is not None]
    memory = max(run.memory for run in runs)
    median = statistics.median(seconds)
    limits = [] if row.seconds == float("inf") else [f"{row.seconds:g} s", f"{row.memory / 1e9:g} GB"]
    verdict = "" if not limits else "met" if median <= row.seconds and memory <= row.memory else "MISSED"
    return "| " + " | ".join(
        [
            row.name,
            f"{median:.2f}",
            f"{min(seconds):.2f}-{max(seconds):.2f}",
            f"{statistics.median(solver):.2f}" if solver else "",
            f"{memory / 1e9:.2f}",
            f"{median / row.target**2 * 1e6:.2f}",
            ", ".join(limits),
            verdict,
        ]
    ) + " |"  # fmt: skip


def growth(medians: dict[str, tuple[int, float]]) -> str | None:
    """How time grows with pixels: the exponent between the two largest sizes from the same exemplar."""
    sizes = sorted(medians.values())
    if len(sizes) < 2:
        return None
    (small, fast), (large, slow) = sizes[-2], sizes[-1]
    exponent = log(slow / fast) / log((large / small) ** 2)
    return f"Growth from {small} to {large}: time ~ pixels^{exponent:.2f} (1 is linear)."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only the first two rows")
    parser.add_argument("--repeats", type=int, default=3, help="runs per row (default 3)")
    parser.add_argument("--exemplar", type=Path, default=SAMPLES / "brick.png", help="default: %(default)s")
    args = parser.parse_args()
    rows = [*(QUICK if args.quick else ALL), *([GPU] if has_cuda() else [])]
    print(f"{args.exemplar.name}; {args.repeats} runs per row; {machine()}\n")
    print("| work | median s | range s | of it solver s | peak GB | us/pixel | limit | |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    medians: dict[str, tuple[int, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for row in rows:
            source = prepare(row.source, args.exemplar, folder)
            runs = [measure(source, row, folder) for _ in range(args.repeats)]
            print(line(row, runs), flush=True)
            if row.source == BASE and row.device == "cpu":
                medians[row.name] = (row.target, statistics.median(run.seconds for run in runs))
    if (text := growth(medians)) is not None:
        print(f"\n{text}")


if __name__ == "__main__":
    main()
