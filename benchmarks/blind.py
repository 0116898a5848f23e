"""Two presets or two folders of results, judged blind: sheets for a judge, a key kept apart, and the tally of verdicts.

    python benchmarks/blind.py --exemplars DIR --presets "NAME NAME"        a preset may carry settings: NAME:patch=9
    python benchmarks/blind.py --a FOLDER --b FOLDER [--exemplars DIR]      results of one name are a pair
    python benchmarks/blind.py --verdicts build/blind/verdicts.csv

How verdicts are given: benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import random
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import contact_sheet
import torch
from methods import wanted
from torch import Tensor

from texsynth import preset, settings
from texsynth.errors import InputError, TexsynthError, UsageError
from texsynth.image import picture as image

COLUMNS = ("number", "verdict", "clear", "reason")
VERDICTS, CLEAR = ("left", "right", "equal"), ("yes", "no")


@dataclass(frozen=True)
class Trial:
    """One comparison before it is drawn: its name, and a function that makes the exemplar (None without one) and the
    results of the first and the second side, (h, w, 3) uint8 each."""

    name: str
    make: Callable[[], tuple[Tensor | None, Tensor, Tensor]]


@dataclass(frozen=True)
class Verdict:
    """What a judge wrote about one sheet; `better` is one of VERDICTS."""

    better: str
    clear: bool
    reason: str


@dataclass(frozen=True)
class Pair:
    """One sheet in the key: its number, its name, and the number of the side (0 or 1) that lies left."""

    number: int
    name: str
    left: int

    def winner(self, verdict: Verdict) -> int | None:
        """The side that a verdict prefers, None for neither."""
        return None if verdict.better == "equal" else self.left ^ (verdict.better == "right")


@dataclass(frozen=True)
class Key:
    """What lies where; `identical` are the pairs that were not shown because both pictures are the same."""

    sides: tuple[str, str]
    pairs: tuple[Pair, ...]
    identical: tuple[str, ...]


def folder_trials(a: Path, b: Path, exemplars: Sequence[Path]) -> list[Trial]:
    """A trial for each name that both folders hold; what only one of them holds is told."""
    sides = [{path.stem: path for path in image.list_pictures(folder)} for folder in (a, b)]
    both = sorted(sides[0].keys() & sides[1].keys())
    if alone := sorted(sides[0].keys() ^ sides[1].keys()):
        say(f"in one of the folders only, left out: {', '.join(alone)}")
    return [
        Trial(name, partial(read_trial, exemplar_of(name, exemplars), sides[0][name], sides[1][name])) for name in both
    ]


def exemplar_of(name: str, exemplars: Sequence[Path]) -> Path | None:
    """The exemplar of a result: that of its name, or the longest before a "-" or "_" in it (brick_seed2 of brick)."""
    fits = [path for path in exemplars if name == path.stem or name.startswith((f"{path.stem}-", f"{path.stem}_"))]
    return max(fits, key=lambda path: len(path.stem), default=None)


def read_trial(exemplar: Path | None, a: Path, b: Path) -> tuple[Tensor | None, Tensor, Tensor]:
    shown = None if exemplar is None else image.rgb(image.read(exemplar))
    return shown, image.rgb(image.read(a)), image.rgb(image.read(b))


def preset_trials(options: argparse.Namespace, exemplars: Sequence[Path]) -> list[Trial]:
    """A trial for each exemplar and seed; raises TexsynthError for a preset that cannot be used."""
    shorter = None if options.native else options.crop_to
    chosen = [
        preset.resolve(preset=what.preset, quality=None, values=settings.parse(what.sets))
        for what in map(wanted, options.presets)
    ]

    def make(path: Path, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        first, second = (contact_sheet.make(path, options.size, shorter, one, seed, options.device) for one in chosen)
        return first.exemplar, first.result, second.result

    return [Trial(f"{path.stem}-{seed}", partial(make, path, seed)) for path in exemplars for seed in options.seeds]


def write_sheets(trials: Sequence[Trial], sides: tuple[str, str], out: Path, rng: random.Random) -> Key:
    """Draw the trials in random order, each side as often left as right, as OUT/01.png and so on."""
    order = list(trials)
    rng.shuffle(order)
    lefts = [n % 2 for n in range(len(order))]
    rng.shuffle(lefts)
    pairs: list[Pair] = []
    identical = []
    for count, (trial, left) in enumerate(zip(order, lefts, strict=True), start=1):
        exemplar, first, second = trial.make()
        if first.shape != second.shape:
            raise InputError(f"{trial.name}: the two results differ in size, which gives them away; make them alike")
        if torch.equal(first, second):
            identical.append(trial.name)
            continue
        pairs.append(Pair(len(pairs) + 1, trial.name, left))
        shown = [*([] if exemplar is None else [exemplar]), *((second, first) if left else (first, second))]
        row = contact_sheet.beside([contact_sheet.scaled(picture, 1) for picture in shown], str(len(pairs)))
        image.write(out / f"{len(pairs):02}.png", contact_sheet.grid([row], 1))
        say(f"{count}/{len(order)}")
    return Key(sides, tuple(pairs), tuple(sorted(identical)))


def write_key(key: Key, path: Path) -> None:
    pairs = [{"number": pair.number, "name": pair.name, "left": key.sides[pair.left]} for pair in key.pairs]
    content = {"sides": key.sides, "pairs": pairs, "identical": key.identical}
    path.write_text(json.dumps(content, indent=1) + "\n", "utf-8")


def read_key(path: Path) -> Key:
    """Raises InputError for a file that is missing or no key."""
    try:
        content = json.loads(path.read_text("utf-8"))
        first, second = content["sides"]
        pairs = [Pair(pair["number"], pair["name"], (first, second).index(pair["left"])) for pair in content["pairs"]]
        return Key((first, second), tuple(pairs), tuple(content["identical"]))
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise InputError(f"{path}: not the key of any sheets ({exc}); --key names it") from exc


def read_verdicts(path: Path, numbers: Sequence[int]) -> dict[int, Verdict]:
    """The verdict on each sheet of `numbers`; raises InputError for one that is missing, double or not understood."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [[cell.strip() for cell in row] for row in csv.reader(file) if any(row)]
    except (OSError, ValueError, csv.Error) as exc:
        raise InputError(f"{path}: not a table of verdicts ({exc})") from exc
    out: dict[int, Verdict] = {}
    for row in rows[rows[:1] == [list(COLUMNS)] :]:
        number, better, clear, *reasons = [*row, "", "", ""]
        where = f"{path.name}, sheet {number}"
        if not number.isdecimal() or int(number) not in numbers or int(number) in out:
            raise InputError(f"{where}: each of the sheets 1 to {len(numbers)} needs one row")
        if better.lower() not in VERDICTS:
            raise InputError(f"{where}: verdict is {better!r}; allowed: {', '.join(VERDICTS)}")
        if better.lower() != "equal" and clear.lower() not in CLEAR:
            raise InputError(f"{where}: clear is {clear!r}; allowed: {', '.join(CLEAR)}")
        reason = ", ".join(filter(None, reasons))  # a comma without quotes is no reason to refuse a reason
        out[int(number)] = Verdict(better.lower(), clear.lower() == "yes", reason)
    if lack := [str(number) for number in numbers if number not in out]:
        raise InputError(f"{path.name}: no verdict on sheet {', '.join(lack)}; all are given before the key is opened")
    return out


def sign_test(a: int, b: int) -> float:
    """The two-sided p-value of the exact binomial test of `a` wins against `b` being a fair coin's."""
    tail = float(sum(math.comb(a + b, k) for k in range(min(a, b) + 1)) / 2 ** (a + b))
    return min(1.0, 2 * tail)


def tally(key: Key, verdicts: dict[int, Verdict]) -> str:
    """The table of wins, the test, and what each side lost, with the judge's reasons."""
    results = [(pair, verdicts[pair.number], pair.winner(verdicts[pair.number])) for pair in key.pairs]
    wins = [sum(winner == side for *_, winner in results) for side in (0, 1)]
    clear = [sum(winner == side and verdict.clear for _, verdict, winner in results) for side in (0, 1)]
    lines = ["| side | wins | clear | share of decided |", "|---|---|---|---|"]
    for side, label in enumerate(key.sides):
        share = f"{100 * wins[side] / sum(wins):.0f} %" if sum(wins) else "-"
        lines.append(f"| {label} | {wins[side]} | {clear[side]} | {share} |")
    lines += ["", f"equal: {len(results) - sum(wins)} of {len(results)} pairs"]
    if key.identical:
        lines.append(f"identical, not shown: {len(key.identical)} ({', '.join(key.identical)})")
    lines.append(f"sign test, two-sided: p = {sign_test(*wins):.3g}")
    for side, label in enumerate(key.sides):
        lines += ["", f"{label} lost {wins[1 - side]}:", *lost(results, 1 - side)]
    return "\n".join(lines)


def lost(results: Sequence[tuple[Pair, Verdict, int | None]], winner: int) -> Iterator[str]:
    """A line for each pair that `winner` won, the clear ones first."""
    for pair, verdict, _ in sorted((r for r in results if r[2] == winner), key=lambda r: (not r[1].clear, r[0].name)):
        yield f"- {pair.name} (sheet {pair.number}{', clear' * verdict.clear}): {verdict.reason or 'no reason given'}"


def make(options: argparse.Namespace) -> str:
    """Write sheets, verdicts to be filled in and the key; what to do next. Raises TexsynthError."""
    out, key_path = options.output, options.key or options.output.with_name(f"{options.output.name}-key.json")
    if taken := [path for path in (out, key_path) if path.exists()]:
        raise UsageError(f"{taken[0]} is there already, and verdicts may be in it; remove it or choose another with -o")
    exemplars = [
        path for given in options.exemplars for path in (image.list_pictures(given) if given.is_dir() else [given])
    ]
    if options.presets:
        sides, trials = options.presets, preset_trials(options, exemplars)
    else:
        sides, trials = [str(options.a), str(options.b)], folder_trials(options.a, options.b, exemplars)
    if not trials:
        raise InputError("there is nothing to compare: no exemplars, or no name that both folders hold")
    out.mkdir(parents=True)
    try:
        key = write_sheets(trials, (sides[0], sides[1]), out, random.Random(options.shuffle))
    except BaseException:
        shutil.rmtree(out)
        raise
    table = out / "verdicts.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *([pair.number, "", "", ""] for pair in key.pairs)])
    write_key(key, key_path)
    return f"{len(key.pairs)} sheets and verdicts.csv for the judge: {out}\nthe key, not for the judge: {key_path}"


def say(message: str) -> None:
    print(f"blind: {message}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command: sheets, or with --verdicts their tally."""
    options = parser().parse_args(arguments)
    options.presets = " ".join(options.presets).split()
    try:
        if options.verdicts is not None:
            folder = options.verdicts.resolve().parent
            key = read_key(options.key or folder.with_name(f"{folder.name}-key.json"))
            print(tally(key, read_verdicts(options.verdicts, [pair.number for pair in key.pairs])))
            return
        sides = [*options.presets, *filter(None, (options.a, options.b))]
        if len(sides) != 2 or len(options.presets) == 1 or sides[0] == sides[1]:
            raise UsageError("two sides are needed, and they must differ: --presets with two names, or --a and --b")
        print(make(options))
    except TexsynthError as error:
        say(str(error))
        sys.exit(error.exit_code)


def parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    out.add_argument("--a", type=Path, metavar="FOLDER", help="results of one side, such as those of an old version")
    out.add_argument("--b", type=Path, metavar="FOLDER", help="results of the other side, of the same names")
    out.add_argument("--presets", nargs="+", default=[], metavar="NAME", help="two presets to run on every exemplar")
    out.add_argument("--exemplars", type=Path, nargs="+", default=[], help="folders or pictures, shown beside results")
    out.add_argument("-o", "--output", type=Path, default=Path("build/blind"), help="new folder (%(default)s)")
    out.add_argument("--key", type=Path, help="the key (beside the folder of the sheets, its name with -key.json)")
    out.add_argument("--verdicts", type=Path, metavar="CSV", help="the filled table: print the tally")
    out.add_argument("--shuffle", type=int, metavar="SEED", help="seed of the shuffling (another one every time)")
    out.add_argument("-s", "--size", default="512", help="of the presets' results (512)")
    out.add_argument("--seeds", type=int, nargs="+", default=[0], help="of the presets' results, a pair for each (0)")
    out.add_argument("--crop-to", type=int, default=256, help="shorter side of larger exemplars, for presets (256)")
    out.add_argument("--native", action="store_true", help="leave exemplars at their own size, for presets")
    out.add_argument("--device", default="auto")
    return out


if __name__ == "__main__":
    main()
