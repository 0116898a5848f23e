"""Commands that read every kind of file, one of which is spoiled; and options with values that nobody expects."""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from random import Random

import typer.main

from fuzzing import mutate, seeds
from texsynth import preset, settings
from texsynth.cli.app import GROUPS, VERBS, application
from texsynth.requests.option import ARGUMENT, Option, options

# {kind} is a file that may be spoiled, {kind:pattern} one of a certain name; @ is a file that lies there, unnamed; < is
# one that comes through standard input.
COMMANDS = (
    "synthesize {picture} -s 24 -p {preset:p.yaml} --map m={map} --source-mask {mask} -o out.png",
    "synthesize {picture} -s 16 --quality draft --tile xy --report out.html -o out.webp",
    "synthesize {picture} {picture} -s 16 --quality draft --init {picture} -o out.tif",
    "synthesize {picture} -o folder/ -s 16 --quality draft",
    "synthesize {picture:*.exr} -s 16 --quality draft --map height={map} --mtlx --texel 1mm -o out.exr",
    "synthesize {picture:clear.*} -s 16 --quality draft --alpha keep -o out.png",
    "synthesize - -s 16 --quality draft -o - --format webp <{picture}",
    "inpaint a.png --mask - --quality draft -o - <{mask}",
    "inpaint {picture:clear.*} --quality draft --alpha auto -o out.png",
    "control a.png --progression map.png - -s 16 --quality draft -o - --format tiff <{map}",
    "guide progression - -o - <{picture}",
    "inpaint {picture} --mask {mask} --map m={map} --quality draft -o out.png",
    "inpaint {picture} --make-tileable xy --preview --quality draft -o out.jpg",
    "inpaint {picture} --extend 3,0,2,1 --exemplar {picture} --quality draft -o out.png",
    "control {picture} --progression {map} {map} --guide-weight-map {map} -s 16 --quality draft -o out.png",
    "control {picture} --orientation {array} -s 12 --quality draft -o out.png",
    "control {picture} --orientation circle --source-orientation {array} -s 12 --quality draft -o out.png",
    "control {picture} --labels {map:labels.png} {map:labels.png} --save-guides maps -s 12 --quality draft -o out.png",
    "barycenter {picture} a.png -s 12 -p barycenter-draft -o out.png",
    "barycenter a.png {picture} -s 12 --quality draft --mode mosaic --blend-map {map} -o out.png",
    "edit {picture} --mask {mask} --target-mask {mask} --quality draft -o out.png",
    "edit {picture} --remove {mask} --quality draft -o out.png",
    "edit {picture} --reshuffle --quality draft --save-field -o out.png",
    "propagate {picture} {picture:clear.*} {picture} -o out.png --save-layer",
    "evaluate {picture} {picture} --report out.html --csv out.csv --details --json",
    "evaluate {picture} {record:*.png} --progression {map} {map}",
    "guide orientation {picture} -o out.npy --strokes out.png",
    "guide progression {picture} -o out.png",
    "guide perlin -s 20 --period 8 -o out.png",
    "guide radial -s 20 --centre 0.3,0.5 -o out.png",
    "guide linear -s 20 -o out.png",
    "guide stripes -s 24x17 --period 8 --angle 30 -o out.png",
    "guide direction s-curve -s 20 -o out.npy --strokes out.png",
    "tiles corner {picture} -s 20 --quality draft --set patch=5 --map m={map} -o tiles/",
    "tiles wang {picture} -s 20 --quality draft --set patch=5 --tiles 8 --source-mask {mask} -o tiles/",
    "tiles blob a.png --labels {map:labels.png} -s 20 --quality draft --set patch=5 --tiles 16 -o tiles/",
    "tiles blend {picture} --map m={map} -o tiles/",
    "train texture-net {picture} -p {training} --steps 1 -o out.safetensors",
    "train texture-net a.png --resume -p t.yaml --steps 3 -o m.safetensors @m.safetensors @{checkpoint}",
    "synthesize a.png -s 20 -p feed-forward --model {model:m.*} -o out.png",
    "control a.png --labels labels.png labels.png --model {model:net_*} -s 16 -o out.png",
    "synthesize a.png -s 16 -p {preset:g.yaml} --weights {weights} -o out.png",
    "evaluate a.png o.png --metric gram_distance --weights {weights}",
    "weights verify {weights}",
    "presets show {preset}",
    "presets show {preset} --json",
    "synthesize a.png -p {preset:p.yaml} --dry-run --json",
    "synthesize --from {record:o.png} -o out.png @a.png @map.png",
    "synthesize --from o.jpg -o out.png @{record:o*.json} @a.png",
    "synthesize large.png --from {record:look.png} -o out.png @a.png @look_field.npz",
    "synthesize large.png --from look.png -o out.png --field {field} @a.png",
    "inpaint --from {record:inpainted.png} -o out.png @a.png @mask.png",
    "control --from {record:controlled.png} -o out.png --dry-run @a.png @map.png",
    "synthesize a.png -s 24 -p p.yaml --map m=map.png --update -o {record:o.png} @o_m.png",
    "propagate a.png layer.png o.png --update -o {record:propagated.png}",
)
FIRST = {
    "picture": "a.png",
    "mask": "mask.png",
    "preset": "p.yaml",
    "weights": "vgg.safetensors",
}  # of kinds with several good files
SLOT = re.compile(r"\{(\w+)(?::([^}]*))?\}")
LIMITED = ("synthesize", "control", "inpaint", "barycenter", "edit", "propagate", "train", "tiles")
MEMORY = 1200 << 20  # bytes that those may take, which libraries need half of
# The exit codes that are right for a spoiled file of each kind. Options may be wrong in every documented way.
WRITES = ("-o", "--output", "--csv", "--report", "--strokes")  # what follows may be written over, where it is no input
DOCUMENTED = frozenset((0, 2, 3, 4, 5, 6))
ALLOWED = {
    **dict.fromkeys(("picture", "mask", "map", "array", "field", "record"), frozenset((0, 3, 4))),
    **dict.fromkeys(("preset", "training"), frozenset((0, 2))),
    **dict.fromkeys(("model", "checkpoint", "weights"), frozenset((0, 5))),
    "option": DOCUMENTED,
}
TEXTS = (
    *("", " ", "x", "auto", "none", "a.png", "nothing.png", "missing/out.png", "folder/", ".", "..", "/dev/null", "é"),
    *("\x1b[31mred", "two\nlines", "x" * 300, "x" * 5000, "\udcff", "=", "a=b=c", "=a.png", "--json", "-", "--", "*"),
)
NUMBERS = (
    *("0", "1", "2", "3", "-1", "0.5", "1.5", "-0.0", "16", "24x17", "2x", "0.5x", "150%", "1e3", "1e400", "nan"),
    *("inf", "-inf", "100000", "99999999999999999999", "1" * 5000, "0x10", "1_0", "\uff11\uff12", "1,2", "4G", "-1G"),
)
SIZES = ("16", "1", "24x17", "2x", "0.5x", "150%", "1G", "20,20", "0,0,20,20")
ENDLESS = ("variations", "steps")  # counts of which a large one is no fault: it takes the time that it says


@dataclass(frozen=True)
class Try:
    """A command line to run in a folder of its own.

    files: what lies there, by name: good content, or a spoiled one.
    outputs: names that the command may write over.
    allowed: the exit codes that are right.
    piped: what standard input holds.
    fetches: may it ask for weights over the network? If not, it is watched whether it does.
    """

    kind: str
    words: tuple[str, ...]
    files: dict[str, bytes]
    outputs: frozenset[str]
    allowed: frozenset[int]
    fetches: bool
    piped: bytes = b""


def build(kind: str, folder: Path, rng: Random) -> Try:
    """A try of a kind, out of the good files in `folder`."""
    lines = [line for line in COMMANDS if all(fitting(slot, folder) for slot in SLOT.finditer(line))]
    slots = [(line, slot.start()) for line in lines for slot in SLOT.finditer(line) if kind == slot[1]]
    line, spoiled = rng.choice(slots or [(line, -1) for line in lines])
    names, chosen = [], ""
    for other in SLOT.finditer(line):
        every = fitting(other, folder)
        spoil = other.start() == spoiled
        names.append(rng.choice(every) if spoil else FIRST.get(other[1], every[0]) if not other[2] else every[0])
        chosen = names[-1] if spoil else chosen
    filled = iter(names)
    words = SLOT.sub(lambda _: next(filled), line).split()
    lying = [word[1:] for word in words if word[0] in "@<"]
    through = {word[1:] for word in words if word[0] == "<"}
    words = [word for word in words if word[0] not in "@<"]
    # A picture whose transparency is spoiled may show nothing to fill, which is an error of usage.
    allowed = ALLOWED[kind] | (frozenset({2}) if words[0] == "inpaint" and chosen in words[1:2] else frozenset())
    words += ["--max-memory", str(MEMORY)] if is_limited(words) else []
    words += ["-q"] if words[0] in LIMITED and rng.random() < 0.7 else []
    if kind == "option" or rng.random() < 0.2:
        words, allowed = (
            with_options(words, folder, rng, 1 if kind != "option" else rng.choice((1, 2, 3, 5))),
            DOCUMENTED,
        )
    named = {word.rpartition("=")[2] for word in words} | set(lying)
    contents = {name: (folder / name).read_bytes() for name in sorted(named) if name and is_file(folder / name)}
    if chosen:
        contents[chosen] = mutate.spoiled(chosen, contents[chosen], rng)
    piped = b"".join(contents.pop(name) for name in through)
    outputs = {words[n + 1] for n, word in enumerate(words[:-1]) if word in WRITES}
    outputs |= {name for name in contents if name.startswith("m_training/")}
    outputs |= {"o_m.png"} if "--update" in words else set()
    fetches = "--dry-run" not in words and (kind != "record" or allowed is DOCUMENTED)
    return Try(kind, tuple(words), contents, frozenset(outputs), allowed, fetches, piped)


def is_limited(words: Sequence[str]) -> bool:
    """Does a command know --max-memory, and hold to it?"""
    return words[0] in LIMITED or tuple(words[:2]) in (("guide", "orientation"), ("guide", "progression"))


def fitting(slot: re.Match[str], folder: Path) -> list[str]:
    """The good files that a slot of a command may name."""
    return [name for name in seeds.of_kind(slot[1], folder) if fnmatch(name, slot[2] or "*")]


def is_file(path: Path) -> bool:
    """Whether there is one, for names that no system can have too."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def with_options(words: Sequence[str], folder: Path, rng: Random, count: int) -> list[str]:
    """Further options of the verb at the end, or of any where it has none declared."""
    commands = [*VERBS, *(f"{group} {word}" for group, (_, inner) in GROUPS.items() for word in inner)]
    name = next((command for command in commands if words[: len(command.split())] == command.split()), None)
    if name is None:
        return [
            *words,
            *(word for _ in range(count) for word in _declared(rng.choice(flags_of(tuple(words[:2]))), folder, rng)),
        ]
    request = importlib.import_module(f"texsynth.requests.{name.replace(' ', '.')}").Request
    every = [o for o in options(request) if o.flags and o.flags != (ARGUMENT,) and o.name != "debug"]
    added = [word for o in rng.sample(every, count) for word in spelled(o, folder, rng)]
    return [*words, *added]


@cache
def flags_of(words: tuple[str, ...]) -> list[tuple[str, bool]]:
    """The flags of a command whose options stand in its signature, and whether a value follows."""
    command = typer.main.get_command(application())
    for word in words:
        command = getattr(command, "commands", {}).get(word, command)
    every = [
        (flag, getattr(option, "is_flag", False))
        for option in command.params
        for flag in option.opts
        if flag.startswith("-")
    ]
    return [(flag, not alone) for flag, alone in every if flag != "--help"] or [("--json", False)]


def _declared(flag: tuple[str, bool], folder: Path, rng: Random) -> list[str]:
    """A flag of a command, with a value of any kind where one follows, and now and then where none does."""
    name, valued = flag
    return [name, rng.choice((*TEXTS, *NUMBERS, *SIZES, *files(folder)))] if valued != (rng.random() < 0.1) else [name]


def spelled(o: Option, folder: Path, rng: Random) -> list[str]:
    """An option on the command line, with a value that may be right, or cannot be."""
    flag = rng.choice([part for name in o.flags for part in name.split("/")])
    if o.text in (bool, bool | None):
        return [flag]
    if o.name in ENDLESS:
        return [flag, rng.choice(("-1", "0", "1", "2", "3", "x", "1.5", ""))]
    likely = rng.random() < 0.6
    pick = plausible if likely else hostile
    return [flag, *(pick(o, folder, rng) for _ in range(2 if (o.metavar or "").count(" ") else 1))]


def plausible(o: Option, folder: Path, rng: Random) -> str:
    """A value of the kind that an option wants: a word that it lists, a file, a number or some."""
    metavar, words = o.metavar or "", [*o.choices, *(o.complete("") if callable(o.complete) else o.complete)]
    left, equals, _ = metavar.partition("=")
    if equals:
        name = rng.choice(setting_names()) if left == "KEY" else rng.choice(("m", "height", "black", "ff0000"))
        return f"{name}={rng.choice(NUMBERS) if left == 'KEY' else rng.choice(files(folder))}"
    if words and rng.random() < 0.8:
        return str(rng.choice(words))
    if o.role or "FILE" in metavar or o.name in ("preset", "output", "repeat", "save_guides", "save_attention"):
        return rng.choice((*files(folder), "new.png", "new.html", "new.csv", "folder", "new/"))
    if "," in metavar:
        return ",".join(rng.choice(("0", "1", "2", "9", "16")) for _ in metavar.split(","))
    if "|" in metavar:
        return rng.choice((*metavar.split("|"), *SIZES))
    return rng.choice(("0", "1", "2", "0.5", "16", "4G"))


def hostile(o: Option, folder: Path, rng: Random) -> str:
    """A value that nobody expects."""
    if "=" in (o.metavar or "") and rng.random() < 0.8:
        name = rng.choice(("m", "Ä", "", "a/b", "field", "image", "x" * 300, *setting_names()))
        return f"{name}={rng.choice((*TEXTS, *NUMBERS, *files(folder), '[1]', '{a: 1}', '[' * 2000))}"
    if rng.random() < 0.4:
        return ",".join(rng.choice(NUMBERS) for _ in range((o.metavar or "").count(",") + rng.choice((1, 1, 2))))
    return rng.choice((*TEXTS, *files(folder)))


def files(folder: Path) -> list[str]:
    """All good files, and the folders that hold some."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def setting_names() -> list[str]:
    """The settings of the default preset, as --set names them."""
    return [row["name"] for stage in preset.load(preset.DEFAULT).stages for row in settings.show(stage.settings)]
