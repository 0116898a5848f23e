"""Kills of workers of a cluster: python benchmarks/cluster_kills.py [--runs 20] [--kills 1] [--workers 2] [--seed 0]

Every run does a folder of pictures with --cluster local:N, maps and fields included, and workers are killed by SIGKILL
at random moments of it. It must end with exit code 0 and say nothing, all files must be those of an undisturbed run of
one process, byte for byte, with none beside them, and `results.jsonl` must have one line for each picture. It needs the
extra `cluster`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import psutil
from field import SAMPLES

LOG = "results.jsonl"
RUN = ("synthesize", "in", "-s", "128", "--quality", "draft", "--map", "copy=in", "--save-field", "-q")
WORKER = "spawn_main"  # in the command line of a worker process


@dataclass(frozen=True)
class Ran:
    """What a command did. killed: the seconds after its start at which a worker was killed."""

    code: int
    said: str
    seconds: float
    killed: list[float] = field(default_factory=list)


def draw(folder: Path, copies: int) -> None:
    """The inputs: the samples that are pictures, several times over."""
    folder.mkdir()
    for sample in sorted(SAMPLES.glob("*.jpg")):
        for number in range(copies):
            shutil.copy(sample, folder / f"{sample.stem}{number}.jpg")


def ran(words: tuple[str, ...], root: Path, moments: list[float], rng: Random) -> Ran:
    """Run a command and kill one of its workers at each of the moments, in seconds from its start."""
    start = time.perf_counter()
    killed: list[float] = []
    with subprocess.Popen(
        [sys.executable, "-m", "texsynth", *words],
        cwd=root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:

        def kill() -> None:
            for moment in sorted(moments):
                time.sleep(max(0.0, start + moment - time.perf_counter()))
                while process.poll() is None:
                    if (victim := chosen(process.pid, rng)) is not None:
                        victim.kill()
                        killed.append(time.perf_counter() - start)
                        break
                    time.sleep(0.05)

        thread = threading.Thread(target=kill)
        thread.start()
        _, said = process.communicate()
        seconds = time.perf_counter() - start
        thread.join()
    return Ran(process.returncode, said, seconds, killed)


def chosen(process: int, rng: Random) -> psutil.Process | None:
    """One of the workers that a process has now; None where it has none, or has ended."""
    try:
        children = psutil.Process(process).children()
        workers = [child for child in children if WORKER in " ".join(child.cmdline())]
    except psutil.Error:
        return None
    return rng.choice(workers) if workers else None


def files(folder: Path) -> dict[str, bytes]:
    """All files of a folder but the log."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != LOG} if folder.is_dir() else {}


def wrong(did: Ran, folder: Path, wanted: dict[str, bytes], pictures: int) -> list[str]:
    """Everything that is wrong after a run."""
    out = [] if did.code == 0 else [f"exit code {did.code}"]
    out += [f"said {did.said!r}"] if did.said else []
    left = files(folder)
    out += [f"{name} is left" for name in left.keys() - wanted.keys()]
    out += [f"{name} is missing" for name in wanted.keys() - left.keys()]
    out += [f"{name} is another" for name in wanted.keys() & left.keys() if wanted[name] != left[name]]
    log = (folder / LOG).read_text().splitlines() if (folder / LOG).exists() else []
    counts = Counter(json.loads(line)["image"] for line in log)
    return (
        out
        + [f"{LOG} has {n} lines of {name}" for name, n in counts.items() if n != 1]
        + ([] if len(counts) == pictures else [f"{LOG} has {len(counts)} pictures of {pictures}"])
    )


def main() -> int:
    """Kill, and tell what was wrong; 1 where anything was."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--kills", type=int, default=1, help="in each run")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--copies", type=int, default=1, help="of each sample")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng, findings, kills = Random(options.seed), 0, 0
    with tempfile.TemporaryDirectory(prefix="cluster-kills-") as name:
        root = Path(name)
        draw(root / "in", options.copies)
        pictures = len(list((root / "in").iterdir()))
        alone = ran((*RUN, "-o", "alone/", "--threads", "1"), root, [], rng)
        if alone.code != 0:
            raise SystemExit(f"the undisturbed run fails: {alone.said}")
        wanted = files(root / "alone")
        cluster = (*RUN, "--cluster", f"local:{options.workers}")
        seconds = ran((*cluster, "-o", "calm/"), root, [], rng).seconds
        print(f"{pictures} pictures, {len(wanted)} files, {alone.seconds:.1f} s alone, {seconds:.1f} s by a cluster")
        done = number = 0
        while done < options.runs:
            number += 1
            moments = [rng.uniform(0.1, 0.95) * seconds for _ in range(options.kills)]
            did = ran((*cluster, "-o", f"{number}/"), root, moments, rng)
            problems = wrong(did, root / str(number), wanted, pictures)
            done += len(did.killed) == options.kills  # one that ended before its time came does not count
            kills, findings = kills + len(did.killed), findings + len(problems)
            when = ", ".join(f"{moment:.1f}" for moment in did.killed)
            print(
                f"run {number}: {did.seconds:.1f} s, killed at {when or 'no'} s; {'; '.join(problems) or 'whole'}",
                flush=True,
            )
            shutil.rmtree(root / str(number))
    print(f"{number} runs, {kills} kills, {findings} findings")
    return int(findings > 0)


if __name__ == "__main__":
    sys.exit(main())
