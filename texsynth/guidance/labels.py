"""Label maps: pictures painted with a few flat colours, read into ids; JPEG noise and soft edges are tolerated.

The label control of "Neural Texture Synthesis with Guided Correspondence" (2023); its code compares the grey values of
label pictures, so that the distance of two labels hangs on the colours someone happened to pick. Ids are compared here.
Colours are (K, 3) in [0, 1]; id maps are (1, 1, H, W) float32 holding 0 .. K - 1, rows of the colours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from PIL import ImageColor
from torch import Tensor
from torch.nn import functional as F

from texsynth.errors import InputError, UsageError
from texsynth.guidance import maps
from texsynth.guidance.maps import Cropped, Guided, Map
from texsynth.image import load as inputs
from texsynth.image import rows
from texsynth.image.load import Input, Note, Source
from texsynth.image.picture import Picture
from texsynth.requests.guides import Labels
from texsynth.settings import suggestion
from texsynth.task import Guide

MOST_LABELS = 64  # labels
SMALLEST_SHARE = 0.002  # of the pixels, below which a colour is no label of an exemplar
MINOR_SHARE = 0.01  # of the pixels, below which a colour alike another may come from noise alone
SMALLEST_TARGET_SHARE = 0.0005  # the same for a target: what the exemplar lacks must not slip through
COLOUR_DISTANCE = 40 / 255  # distance of colours that JPEG noise may bridge, so that labels must be further apart
RANGE_OF_A_FLAT_AREA = 24 / 255  # range of each channel in 3 x 3 pixels, up to which they are one flat area
SHARP_DISTANCE = 2.5 / 255  # when every pixel is this near to its label's colour, there is no noise and no soft edge
SHARP_SHARE = 0.999  # share of the pixels that common exact colours cover in such a picture
EDGE_REACH = 4  # pixels from a soft edge to the flat areas on both sides of it
PIXELS_OF_A_CHUNK = 1 << 14  # edge pixels looked at together
PIXELS_OF_A_STRIP = 1 << 18  # pixels of rows looked at together: pictures may be large, and all at once takes ten times
# as much memory

Table = tuple[Tensor, Tensor]  # distinct colours (U, 3), and how many pixels have each (U,)
WEIGHT = 10.0  # of the guide, by default


def target(part: Labels, memory: int) -> Map:
    """The map of the output as it was given, which may take `memory` bytes; raises InputError and ResourceError."""
    source = part.target if part.maps is None else part.maps[1]
    assert source is not None
    return maps.read(source, "labels-target", memory)


def guide(part: Labels, draft: Cropped, wanted: Map | None, size: tuple[int, int], note: Note) -> Guided:
    """Which label each pixel has: read from the exemplars' label pictures, or one for each whole exemplar.

    part: the options. wanted: what `target` read. size: of the output, (height, width). Raises InputError, UsageError.
    """
    assert wanted is not None
    drawn = maps.rgb(wanted.picture)
    if part.maps is None:
        values, colours = _uniform(part, draft, drawn, wanted.entry.name)
        entries: list[Input] = []
    else:
        values, colours, entries = sources(part.maps[0], draft, note, (drawn, wanted.entry.name))
    goal = inputs.stretched(Picture(ids(drawn, colours)), size, "labels", wanted.entry.name, note).pixels
    check(maps.usable(values, draft), goal, colours)
    weight = maps.weight_of(part.weight, WEIGHT)
    resolved: dict[str, Any] = {"labels_weight": weight}
    if part.colours:
        resolved["label_colours"] = ["#{:02x}{:02x}{:02x}".format(*colour(text)) for text in part.colours]
    steering = Guide("labels", tuple(values), goal, weight, "l0", palette=colours)
    return Guided(steering, (*entries, wanted.entry), resolved)


def sources(
    pictures: Sequence[Source], draft: Cropped, note: Note, wanted: tuple[Tensor, str] | None = None
) -> tuple[list[Tensor], Tensor, list[Input]]:
    """The ids (1, 1, H, W) of each exemplar's label picture, and all colours (K, 3).

    wanted: the target, a picture (1, 3, h, w), and its name; its colours are among those that are given back.
    """
    read = [maps.read(source, "labels-source", draft.room) for source in pictures]
    entries, drawn = [m.entry for m in read], [maps.rgb(m.picture) for m in read]
    with maps.about(maps.names_of(entries)):
        colours = palette(drawn)
    if wanted is not None:
        with maps.about(wanted[1]):
            colours = shared(colours, wanted[0])
    numbered = [Map(Picture(ids(d, colours)), e) for d, e in zip(drawn, entries, strict=True)]
    values = [maps.on_exemplar(m, draft, number, note, "labels") for number, m in enumerate(numbered)]
    low, high = rows.extremes(*maps.usable(values, draft))
    if high - low < maps.FLAT_RANGE:
        raise maps.flat_error(entries)
    return values, colours, entries


def colour(text: str) -> tuple[int, int, int]:
    """ "#rrggbb", "RRGGBB" or a CSS name -> red, green and blue, 0 to 255; raises UsageError."""
    if re.fullmatch(r"#?[0-9a-fA-F]{6}", text):
        red, green, blue = bytes.fromhex(text.removeprefix("#"))
        return red, green, blue
    if text.lower() not in ImageColor.colormap:
        near = suggestion(text.lower(), list(ImageColor.colormap))
        raise UsageError(f"--label-exemplar: {text!r} is no colour; write RRGGBB or a CSS name such as red{near}")
    return ImageColor.getrgb(text.lower())[:3]


def _uniform(part: Labels, draft: Cropped, drawn: Tensor, name: str) -> tuple[list[Tensor], Tensor]:
    """One id for each exemplar, that of its colour; and all colours. drawn: the target, called name."""
    each = [colour(text) for text in part.colours]
    unique = list(dict.fromkeys(each))
    with maps.about(name):
        colours = shared(torch.tensor(unique) / 255, drawn)
    pairs = zip(draft.exemplars, each, strict=True)
    return [torch.full((1, 1, *e.size), float(unique.index(triple))) for e, triple in pairs], colours


def palette(pictures: Sequence[Tensor], share: float = SMALLEST_SHARE) -> Tensor:
    """The flat colours that pictures (1, 3, H, W) are painted with, commonest first: (K, 3).

    A colour counts that covers `share` of the pixels. With noise or soft edges, colours nearer than 40 / 255 are one,
    and those that are mere mixtures of two others and fill no area are none. Raises InputError for none or over 64.
    """
    table = _table(strip[0].flatten(1).T for p in pictures for (strip,) in rows.strips(p))
    total = float(table[1].sum())
    least = max(1.0, share * total)
    exact = _exact(pictures, table, least)
    colours = exact
    if float(table[1][_near(table[0], exact, 0)].sum()) < SHARP_SHARE * total:
        areas = (s[0].permute(1, 2, 0)[even] for p in pictures for s, even in _flat_strips(p))
        colours = _peaks(_table(areas), least, MINOR_SHARE * total)
        colours = _with_lines(colours, exact[~_near(exact, colours, COLOUR_DISTANCE)][:MOST_LABELS])
    if not 0 < len(colours) <= MOST_LABELS:
        count = len(colours) or "no"
        allowed = f"1 to {MOST_LABELS} are allowed"
        raise InputError(f"a label picture has {count} flat colours, and {allowed}; paint areas in plain colours")
    return colours


def shared(colours: Tensor, target: Tensor) -> Tensor:
    """The labels (K, 3) of the exemplars, followed by colours of the target (1, 3, H, W) that none of them is near to.
    Near is within 40 / 255, and within half the distance of the two most alike labels."""
    tolerance = COLOUR_DISTANCE
    if len(colours) > 1:
        tolerance = min(COLOUR_DISTANCE, float(F.pdist(colours).min()) / 2)
    drawn = palette([target], SMALLEST_TARGET_SHARE)
    return torch.cat([colours, drawn[~_near(drawn, colours, tolerance)]])


def ids(picture: Tensor, colours: Tensor) -> Tensor:
    """The id of the label (K, 3) nearest to each pixel of (1, 3, H, W): (1, 1, H, W).

    A pixel on a soft edge, whose colour lies between those of the areas beside it or is near to no label's, gets the
    nearer of these areas, though the mixture may look like some third label.
    """
    height, width = picture.shape[2:]
    nearest, furthest = torch.empty(height * width, dtype=torch.short, device=picture.device), 0.0
    first = 0
    for (strip,) in rows.strips(picture):
        for part in strip[0].flatten(1).T.split(PIXELS_OF_A_CHUNK):
            nearest[first : first + len(part)], distance = _nearest(part, colours)
            furthest, first = max(furthest, float(distance.max())), first + len(part)
    if furthest > SHARP_DISTANCE:
        even = _even(picture)
        edge = (~even).flatten().nonzero()[:, 0]
        areas = torch.where(even, nearest.view(1, 1, height, width), -1)
        areas = F.pad(areas, (EDGE_REACH,) * 4, value=-1)[0, 0]
        around = areas.unfold(0, 2 * EDGE_REACH + 1, 1).unfold(1, 2 * EDGE_REACH + 1, 1)
        for part in edge.split(PIXELS_OF_A_CHUNK):
            beside = around[part // width, part % width].flatten(1).long()  # (N, 81) ids, -1 where no flat area is
            pixels = picture[0, :, part // width, part % width].T
            nearest[part] = _sides(pixels, beside, nearest[part].long(), colours).short()
        whole = nearest.view(height, width)
        nearest[edge] = torch.cat([_joined(whole, part) for part in edge.split(PIXELS_OF_A_CHUNK)])
    return rows.changed(nearest.view(1, 1, height, width), lambda numbers: numbers.to(picture.dtype))


def check(sources: Sequence[Tensor], target: Tensor, colours: Tensor) -> None:
    """Raise InputError, naming them, when id maps of the target hold labels that those of no exemplar hold."""
    parts = [part for source in sources for part in source.flatten().split(rows.WHOLE)]
    have = rows.summed([part.long().bincount(minlength=len(colours)).cpu() for part in parts])
    want = rows.counts(target, len(colours)).cpu()
    absent = ((have == 0) & (want > 0)).nonzero()[:, 0]
    if len(absent):
        raise InputError(
            f"the target's label {_names(absent, want, colours)} is not in the exemplar, whose labels are "
            f"{_names(have.nonzero()[:, 0], have, colours)}; repaint it in one of these"
        )


def agreement(result: Tensor, target: Tensor, away: int = 0) -> float:
    """Share of pixels of two id maps that are equal, among those more than `away` pixels from any boundary of the
    target, down, across or diagonally; with `away` 0 all count. NaN when there are none."""
    same = (result == target).float()
    if away == 0:
        return float(same.mean())
    padded = F.pad(target.float(), (away,) * 4, mode="replicate")
    size = 2 * away + 1
    inside = F.max_pool2d(padded, size, 1) == -F.max_pool2d(-padded, size, 1)
    return float(same[inside].mean())


def _table(blocks: Iterable[Tensor]) -> Table:
    """The distinct colours of blocks (N, 3) at 8 bits, and their counts."""
    parts = [part for block in blocks for part in map(_counted, block.split(PIXELS_OF_A_STRIP))]
    codes, place = torch.cat([codes for codes, _ in parts]).unique(return_inverse=True)
    counts = torch.zeros_like(codes, dtype=torch.long).index_add_(0, place, torch.cat([counts for _, counts in parts]))
    return torch.stack([codes >> 16, codes >> 8 & 255, codes & 255], 1).float() / 255, counts.float()


def _counted(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """The distinct colours of (N, 3) at 8 bits as numbers, and their counts."""
    levels = (pixels * 255).round().clamp(0, 255).int()
    codes, counts = (levels[:, 0] << 16 | levels[:, 1] << 8 | levels[:, 2]).unique(return_counts=True)
    return codes, counts


def _exact(pictures: Sequence[Tensor], table: Table, least: float) -> Tensor:
    """Colours of at least so many pixels that fill areas or, if not, are no mixture of two that do: (K, 3)."""
    solid, counts = _table(block for picture in pictures for block in _corners(picture))
    filling = solid[counts >= least / 4]
    order = table[1].argsort(descending=True, stable=True)[: int((table[1] >= least).sum())]
    common, areas = table[0][order], _near(table[0][order], filling, 0)
    if int(areas.sum()) > MOST_LABELS:  # too many either way
        return common
    kept = _with_lines(common[areas], common[~areas])
    return common[_near(common, kept, 0)]


def _corners(picture: Tensor) -> Iterator[Tensor]:
    """The colours (N, 3) of pixels that are as those below, beside, and below those."""
    for strip, _ in _strips(picture, 0, 1):
        levels = (strip[0] * 255).round()
        corner, *rest = levels[:, :-1, :-1], levels[:, 1:, :-1], levels[:, :-1, 1:], levels[:, 1:, 1:]
        same = torch.stack([(corner == other).all(0) for other in rest]).all(0)
        yield corner[:, same].T / 255


def _with_lines(areas: Tensor, others: Tensor) -> Tensor:
    """Colours (K, 3) followed by those of (N, 3), commonest first, that are no mixtures of two before them."""
    while len(others := others[~_between(others, areas)]):
        areas, others = torch.cat([areas, others[:1]]), others[1:]
    return areas


def _peaks(table: Table, least: float, major: float) -> Tensor:
    """The commonest colour, then the commonest that is not near to it, and so on: (K, 3). Those that stand for fewer
    than `least` pixels, counting all that are near, are left out; with fewer than `major` also those twice as far from
    a commoner one, which noise beside an edge may have made of it."""
    order = table[1].argsort(descending=True, stable=True)
    colours, counts, peaks = table[0][order], table[1][order], table[0][:0]
    while len(colours) and float(counts.sum()) >= least:
        near = _near(colours, colours[:1], COLOUR_DISTANCE)
        mass = float(counts[near].sum())
        if mass >= least and (mass >= major or not bool(_near(colours[:1], peaks, 2 * COLOUR_DISTANCE))):
            peaks = torch.cat([peaks, colours[:1]])
        colours, counts = colours[~near], counts[~near]
    return peaks


def _near(colours: Tensor, others: Tensor, distance: float) -> Tensor:
    """Which of (N, 3) are within a distance of any of (K, 3): (N,) bool."""
    if len(others) == 0:
        return torch.zeros(len(colours), dtype=torch.bool, device=colours.device)
    return _nearest(colours, others)[1] <= distance + 1e-4


def _nearest(colours: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """For each of (N, 3) the number of the nearest of (K, 3), and the distance: (N,) each."""
    exactly = "donot_use_mm_for_euclid_dist"  # products of matrices lose the small distances
    parts = [torch.cdist(part, others, compute_mode=exactly).min(1) for part in colours.split(PIXELS_OF_A_CHUNK)]
    return torch.cat([p.indices for p in parts]), torch.cat([p.values for p in parts])


def _between(colours: Tensor, bases: Tensor) -> Tensor:
    """Which of (N, 3) may be mixtures of two of the bases (K, 3): (N,) bool."""
    one, other = torch.combinations(torch.arange(len(bases), device=bases.device)).T
    if len(one) == 0:
        return torch.zeros(len(colours), dtype=torch.bool, device=colours.device)
    return (_off_mixture(colours.unsqueeze(1), bases[one], bases[other]) <= COLOUR_DISTANCE).any(1)


def _off_mixture(colours: Tensor, one: Tensor, other: Tensor) -> Tensor:
    """How far colours are from what two make when their brightness and their hue are mixed apart, as JPEG does. All
    (..., 3), broadcast against each other; returns the distances (...)."""
    weights = colours.new_tensor([0.299, 0.587, 0.114])
    bright, bright_one, bright_other = ((c * weights).sum(-1, keepdim=True) for c in (colours, one, other))
    start, step = one - bright_one, (other - bright_other) - (one - bright_one)
    hue = colours - bright
    share = ((hue - start) * step).sum(-1, keepdim=True) / (step**2).sum(-1, keepdim=True).clamp(min=1e-12)
    low, high = torch.minimum(bright_one, bright_other), torch.maximum(bright_one, bright_other)
    mixed = torch.minimum(torch.maximum(bright, low), high) + start + share.clamp(0, 1) * step
    distance: Tensor = (colours - mixed).norm(dim=-1)
    return distance


def _even(picture: Tensor) -> Tensor:
    """Which pixels of (1, 3, H, W) are flat with their eight neighbours: (1, 1, H, W) bool."""
    return torch.cat([even for _, even in _flat_strips(picture)])[None, None]


def _flat_strips(picture: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Strips (1, 3, h, W) of a picture, and which of their pixels are flat with their eight neighbours, (h, W) bool."""
    for strip, inside in _strips(picture, 1, 1):
        spread = F.max_pool2d(strip, 3, 1, 1) + F.max_pool2d(-strip, 3, 1, 1)
        yield strip[:, :, inside], (spread.amax(1) <= RANGE_OF_A_FLAT_AREA)[0, inside]


def _strips(picture: Tensor, above: int, below: int) -> Iterator[tuple[Tensor, slice]]:
    """Strips of the rows of a picture with some rows more, and which rows of each are its own."""
    height, width = picture.shape[2:]
    count = max(1, PIXELS_OF_A_STRIP // width)
    for top in range(0, height, count):
        first = max(0, top - above)
        yield picture[:, :, first : top + count + below], slice(top - first, top - first + min(count, height - top))
        rows.release(picture)


def _sides(pixels: Tensor, beside: Tensor, nearest_ids: Tensor, colours: Tensor) -> Tensor:
    """Ids (N,) of edge pixels (N, 3); beside: ids (N, M) of the flat areas near by, or -1; nearest_ids: (N,)."""
    distance = (pixels.unsqueeze(1) - colours[beside.clamp(min=0)]).norm(dim=2).masked_fill(beside < 0, torch.inf)
    nearest, place = distance.min(1)
    first = beside.gather(1, place[:, None])
    place = distance.masked_fill(beside == first, torch.inf).min(1).indices
    second = beside.gather(1, place[:, None])[:, 0]
    first = first[:, 0]
    second = torch.where(second < 0, first, second)
    off = _off_mixture(pixels, colours[first.clamp(min=0)], colours[second.clamp(min=0)])
    distance = (pixels - colours[nearest_ids]).norm(dim=1)
    foreign = distance > COLOUR_DISTANCE  # mixed with a line, or no label
    return torch.where(nearest.isfinite() & (foreign | (off <= COLOUR_DISTANCE)), first, nearest_ids)


def _joined(ids_map: Tensor, where: Tensor) -> Tensor:
    """Ids (N,) at flat places of a map (H, W), specks of one or two pixels given to what is most around them."""
    height, width = ids_map.shape
    row, column = where[:, None] // width, where[:, None] % width
    step = torch.arange(9, device=where.device)
    near = ids_map[(row + step // 3 - 1).clamp(0, height - 1), (column + step % 3 - 1).clamp(0, width - 1)]  # (N, 9)
    centre = near[:, 4]
    return torch.where((near == centre[:, None]).sum(1) > 2, centre, near.mode(1).values)


def _names(which: Tensor, counts: Tensor, colours: Tensor) -> str:
    """Labels as "#rrggbb (12.5 %)", commonest first, eight at most."""
    which = which[counts[which].argsort(descending=True, stable=True)]
    levels = (colours * 255).round().long().tolist()
    shares = [float(f"{share:.2g}") for share in (100 * counts / counts.sum()).tolist()]
    words = [f"#{bytes(levels[i]).hex()} ({shares[i]:g} %)" for i in which.tolist()]
    return ", ".join(words[:8]) + (f" and {len(words) - 8} more" if len(words) > 8 else "")
