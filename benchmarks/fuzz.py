"""Hostile inputs: python benchmarks/fuzz.py [--tries 10000] [--seed 0] [--jobs 2] [--only preset] [--keep findings]

Every try spoils a file that some command reads, or gives it options that nobody expects, and runs the command in a
forked child under limits of time and memory, without a network. What is documented must hold: an exit code that fits,
one line on stderr and nothing on stdout with an error, inputs as they were, whole files or none, nothing run, nothing
fetched. The table counts tries and findings; the folder of findings keeps the files and the command line of each.

The same seed makes the same tries, whatever the number of jobs; `--first N --tries 1` makes one of them again.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from random import Random

import torch
from fuzzing import child, judge, seeds, tries

KINDS = tuple(tries.ALLOWED)
OFTEN = ("picture", "picture", "option", "option", "record", "preset")  # where most can go wrong


@dataclass(frozen=True)
class Plan:
    """What the tries of a run have in common."""

    seed: int
    kinds: tuple[str, ...]
    good: Path  # the folder of good files
    keep: Path | None  # the folder of findings


@dataclass(frozen=True)
class Result:
    """A try: its number, its kind, its exit code, what is wrong, the command and the last line of its stderr."""

    number: int
    kind: str
    code: int
    wrong: tuple[str, ...]
    command: str
    said: str


def fuzz(plan: Plan, numbers: Sequence[int], jobs: int = 1) -> Iterator[Result]:
    """The results of these tries, in order."""
    pairs = [(plan, number) for number in numbers]
    if jobs == 1:
        yield from map(attempt, pairs)
        return
    with get_context("fork").Pool(jobs) as pool:
        yield from pool.imap(attempt, pairs)


def together(plan: Plan, numbers: Sequence[int]) -> list[Result]:
    """The results of tries that share a child, which is quicker; once more alone where anything is wrong."""
    pairs = [(plan, number) for number in numbers]
    results: list[Result] = []
    with suppress(BrokenProcessPool), ProcessPoolExecutor(1, get_context("fork")) as pool:
        results.extend(pool.map(attempt_here, pairs))
    good = {result.number: result for result in results if not result.wrong}
    return [good.get(pair[1]) or attempt(pair) for pair in pairs]


def attempt_here(pair: tuple[Plan, int]) -> Result:
    """A try in this process; what is wrong in it is kept for no one, since it is tried again."""
    plan, number = pair
    return attempt((replace(plan, keep=None), number), child.run_here)


def attempt(pair: tuple[Plan, int], run: Callable[..., child.Outcome] = child.run) -> Result:
    """Build a try, run it and judge it."""
    plan, number = pair
    rng = Random(f"{plan.seed} {number}")
    trial = tries.build(rng.choice(plan.kinds), plan.good, rng)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        root = Path(name).resolve() / "root"
        for file, content in trial.files.items():
            path = root / "work" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        (root / "work" / "folder").mkdir(parents=True)
        before = judge.snapshot(root / "work")
        did = run(trial.words, root, {"TEXSYNTH_OFFLINE": "1"} if trial.fetches else {}, piped=trial.piped)
        wrong = judge.findings(trial, did, before, root / "work")
    command = shlex.join(["texsynth", *trial.words])
    said = did.err.strip().rpartition("\n")[2][:300]
    result = Result(number, trial.kind, did.code, tuple(wrong), command, said)
    if wrong and plan.keep is not None:
        files = before | ({"stdin": trial.piped} if trial.piped else {})
        keep(plan.keep / f"{trial.kind}-{plan.seed}-{number}", files, result, did)
    return result


def keep(folder: Path, files: dict[str, bytes], result: Result, did: child.Outcome) -> None:
    """Write down a finding: the files of its command, and what came of it."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    told = {"wrong": result.wrong, "command": result.command, "code": did.code, "stdout": did.out, "stderr": did.err}
    told |= {"memory": did.memory, "seconds": did.seconds, "events": did.events}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "finding.json").write_text(json.dumps(told, indent=2))


def table(results: Sequence[Result]) -> str:
    """Tries, exit codes and findings of each kind, and how often everything that is wrong was seen."""
    codes = sorted({result.code for result in results})
    lines = [f"{'kind':12}{'tries':>8}{'findings':>10}   exit code" + "".join(f"{code:>7}" for code in codes)]
    for kind in (*KINDS, "all"):
        rows = [result for result in results if kind in (result.kind, "all")]
        counts = Counter(result.code for result in rows)
        shown = "".join(f"{counts[code]:>7}" for code in codes)
        lines.append(f"{kind:12}{len(rows):>8}{sum(bool(row.wrong) for row in rows):>10}{'':12}{shown}")
    causes = Counter((result.kind, wrong) for result in results for wrong in result.wrong)
    lines += [f"{count:6}  {kind}: {wrong}" for (kind, wrong), count in causes.most_common()]
    return "\n".join(lines)


def parsed(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The options of this program."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tries", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="the number of the first try")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", choices=KINDS, help="one kind of file")
    parser.add_argument("--keep", type=Path, default=Path("findings"), help="the folder of findings")
    return parser.parse_args(words)


def main() -> int:
    """Run the tries, tell findings as they come, and the table at the end; 1 where there is a finding."""
    options = parsed()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="fuzz-good-") as name:
        seeds.draw(Path(name))
        kinds = (options.only,) if options.only else (*KINDS, *OFTEN)
        plan = Plan(options.seed, kinds, Path(name), options.keep.resolve())
        results = []
        for result in fuzz(plan, range(options.first, options.first + options.tries), options.jobs):
            results.append(result)
            if result.wrong:
                said = f"{'; '.join(result.wrong)} ({result.said[:200]})"
                print(f"{result.number} {result.kind}: {said}: {result.command[:300]}", flush=True)
    print(table(results))
    return int(any(result.wrong for result in results))


if __name__ == "__main__":
    sys.exit(main())
