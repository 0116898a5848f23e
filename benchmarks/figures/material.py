"""Exemplars and maps for the figures: those of samples/, or of a folder laid out like TEXSYNTH_EXEMPLARS.

Such a folder holds stationary/, progression/, orientation/, both/, label/, inpaint/ and edit/; a map lies beside its
picture and carries its name (`rust.jpg`, `rust_map.png`), targets are called `target_*`. All pictures are brought to
the budget's size on their shorter side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from figure import Options
from torch import Tensor
from torch.nn import functional as F

from texsynth.guidance import labels, procedural
from texsynth.image import picture as image
from texsynth.image.picture import Picture

SAMPLES = Path(__file__).parent.parent.parent / "samples"
STATIONARY = ("coffee.jpg", "stonewall.jpg", "scales.png", "gravel.jpg", "pebbles.png", "brick.png", "leaves.jpg")
MAPS = ("_map", "_labels", "_mask", "_target_mask")
SUFFIXES = (".jpg", ".png")


@dataclass(frozen=True)
class Steered:
    """exemplar: (1, 3, H, W). source: its map, (1, 3, H, W). target: a map (1, 3, h, w) of any size, or a mask."""

    name: str
    exemplar: Tensor
    source: Tensor
    target: Tensor


def picture(values: Tensor) -> Picture:
    """A tensor as the API takes it."""
    return Picture(values)


def fitted(path: Path, side: int, mode: str = "bilinear") -> Tensor:
    """A picture with `side` pixels on its shorter side, on the grid of 8 bits: (1, 3, H, W)."""
    pixels = image.rgb(image.read(path))
    return resized(pixels, shorter(pixels, side), mode)


def shorter(pixels: Tensor, side: int) -> tuple[int, int]:
    """The size (height, width) with `side` pixels on the shorter side."""
    h, w = pixels.shape[2:]
    return round(h * side / min(h, w)), round(w * side / min(h, w))


def resized(pixels: Tensor, size: tuple[int, int], mode: str = "bilinear") -> Tensor:
    """At another size: "bilinear" for colours and values, "nearest" for labels and masks."""
    made = F.interpolate(pixels, size, mode=mode, antialias=mode == "bilinear").clamp(0, 1)
    return (made * 255).round() / 255


def stationary(options: Options, count: int | None = None) -> dict[str, Tensor]:
    """Exemplars by name, as many as the budget has, or `count`."""
    paths = [SAMPLES / name for name in STATIONARY]
    if options.exemplars is not None:
        paths = named(options.exemplars / "stationary")
    return {path.stem: fitted(path, options.budget.side) for path in paths[: count or options.budget.count]}


def progressions(options: Options) -> list[Steered]:
    """How far along its change of appearance each pixel is, and shall be."""
    side = options.budget.side
    if options.exemplars is None:
        ends = (procedural.radial((side, side)), procedural.linear((side, side), 90))
        return [
            Steered(
                f"rust, {word}", fitted(SAMPLES / "rust.png", side), fitted(SAMPLES / "rust_progression.png", side), e
            )
            for word, e in zip(("radial", "linear"), (end.repeat(1, 3, 1, 1) for end in ends), strict=True)
        ][: options.budget.count]
    return _in_folder(options.exemplars / "progression", "_map", options)


def orientations(options: Options) -> list[tuple[str, Tensor]]:
    """Exemplars with a direction of their own."""
    if options.exemplars is None:
        return [("grass", fitted(SAMPLES / "grass.png", options.budget.side))]
    paths = named(options.exemplars / "orientation")[: options.budget.count]
    return [(path.stem, fitted(path, options.budget.side)) for path in paths]


def both(options: Options) -> list[Steered]:
    """Exemplars with a direction that also change along a map."""
    side = options.budget.side
    if options.exemplars is not None:
        return _in_folder(options.exemplars / "both", "_map", options)
    shade = fitted(SAMPLES / "grass.png", side)
    blurred = F.avg_pool2d(F.pad(shade.mean(1, keepdim=True), (side // 8,) * 4, mode="reflect"), side // 8 * 2 + 1, 1)
    source = (blurred - blurred.min()) / (blurred.max() - blurred.min())  # how light it is round about
    target = procedural.linear((side, side), 0)
    return [Steered("grass", shade, source.repeat(1, 3, 1, 1), target.repeat(1, 3, 1, 1))]


def labelled(options: Options) -> list[Steered]:
    """What lies where, in flat colours."""
    side = options.budget.side
    if options.exemplars is not None:
        return _in_folder(options.exemplars / "label", "_labels", options)
    source = fitted(SAMPLES / "gravel_labels.png", side, "nearest")
    colours = labels.palette([source])
    inside = procedural.radial((side, side)) > 0.5
    target = torch.where(inside, colours[1].view(1, 3, 1, 1), colours[0].view(1, 3, 1, 1))
    return [Steered("gravel", fitted(SAMPLES / "gravel.jpg", side), source, target)]


def holed(options: Options) -> list[Steered]:
    """Pictures with a mask of what is missing, white; source and target are the same."""
    side = options.budget.side
    if options.exemplars is None:
        mask = fitted(SAMPLES / "brick_mask.png", side, "nearest")
        return [Steered("brick", fitted(SAMPLES / "brick.png", side), mask, mask)]
    found = []
    for path in named(options.exemplars / "inpaint"):
        if (mask_of := beside(path, "_mask")) is not None:
            whole = fitted(path, side)
            mask = resized(image.rgb(image.read(mask_of)), _size(whole), "nearest")
            hole = 1 - mask if mask.mean() > 0.5 else mask  # theirs are black
            found.append(Steered(path.stem, whole, hole, hole))
    return found[: options.budget.count]


def edited(options: Options) -> list[Steered]:
    """Pictures with a mask of an object, and one of the shape that it shall have."""
    side = options.budget.side
    folder = SAMPLES if options.exemplars is None else options.exemplars / "edit"
    paths = [SAMPLES / "mat.jpg"] if options.exemplars is None else named(folder)[: options.budget.count]
    found = []
    for path in paths:
        goal = beside(path, "_target" if options.exemplars is None else "_target_mask")
        mask = beside(path, "_mask")
        if mask is not None and goal is not None:
            whole = fitted(path, side)
            maps = [resized(image.rgb(image.read(file)), _size(whole), "nearest") for file in (mask, goal)]
            found.append(Steered(path.stem, whole, maps[0], maps[1]))
    return found


def named(folder: Path) -> list[Path]:
    """The pictures of a folder that are no maps or targets; none where there is no such folder."""
    if not folder.is_dir():
        return []
    paths = [path for path in sorted(folder.iterdir()) if path.suffix in SUFFIXES]
    return [path for path in paths if not path.stem.startswith("target") and not path.stem.endswith(MAPS)]


def beside(path: Path, word: str) -> Path | None:
    """The map of a picture, whichever format it has."""
    files = [path.with_name(f"{path.stem}{word}{suffix}") for suffix in SUFFIXES]
    return next((file for file in files if file.is_file()), None)


def _in_folder(folder: Path, word: str, options: Options) -> list[Steered]:
    """Pictures of a folder with their maps, each with the next of its targets."""
    paths = [(path, found) for path in named(folder) if (found := beside(path, word)) is not None]
    targets: Sequence[Path] = sorted(folder.glob("target_*")) if folder.is_dir() else ()
    if not targets:
        return []
    mode, side = ("nearest" if word == "_labels" else "bilinear"), options.budget.side
    out = []
    for number, (path, found) in enumerate(paths[: options.budget.count]):
        target, whole = targets[number % len(targets)], fitted(path, side)
        source = resized(image.rgb(image.read(found)), _size(whole), mode)
        name = f"{path.stem}, {target.stem.removeprefix('target_')}"
        out.append(Steered(name, whole, source, fitted(target, side, mode)))
    return out


def _size(picture: Tensor) -> tuple[int, int]:
    return picture.shape[2], picture.shape[3]
