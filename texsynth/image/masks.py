"""Masks of the kinds that people draw: what a picture marks, and in which words that is said.

In this order: strokes on transparency mark by their alpha; a coloured drawing marks everything but its background;
greys of two levels mark the brighter one; other greys mark what is at least 50 % white. What fits none of these is
refused, with what it shows: nobody can tell what a photograph marks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.errors import InputError
from texsynth.image import picture as image
from texsynth.image import rows
from texsynth.image.picture import Picture

HALF = 0.5
WHITE = 0.99  # the level from which on a mask of one level is white
SAME_COLOUR = 40 / 255  # the distance of colours that JPEG noise may bridge
CHROMA = 0.12  # the difference of the channels from which on a colour is no grey
COLOURED_SHARE = 0.1  # of what is no background, above which a mask is a coloured one
ENOUGH = 1 << 18  # pixels that stand for all where colours are counted
MOST = 0.5  # the share of the border, or of the picture, that a background holds
CLEAR_MAJORITY = 2 / 3  # the share of the border that decides between two coloured backgrounds
BLACK_SHARE = 0.02  # of strokes on transparency, above which black is one of several colours
STROKE_SHARE = 0.1  # of what is no background, that one colour of strokes holds
PAINT_CHROMA, PAINT_SHARE = 0.6, 0.002  # of flat strokes on a photograph: how strong their colour is, and how common
PURE_COLOUR, PURITY = 8 / 255, 0.8  # a flat colour: this share of what is alike it is as near as this
FLAT_RANGE = 0.03  # of the levels in 3 x 3 pixels, up to which they are one flat area
NOISE = 24 / 255  # the range of greys up to which they may all be noise, or whole numbers from 0 up
FLAT_SHARE = 0.002  # of the pixels, above which a flat level counts
LONGEST_RUN, LEAST_GAP = 24, 8  # of 255 levels: longer runs of common levels are ramps; flat levels lie apart
RAMP_STEP, JUMPS = 0.15, 0.1  # of the range, by which few neighbours in a ramp differ; and how many of these are few
NEAR_A_LEVEL = 0.12  # of the range between two levels, in which noise and soft edges lie
SOFT_SHARE = 0.25  # of the pixels, between two levels, up to which these are edges
ROUGH = (
    0.03  # of the range: the mean deviation of soft greys from their surroundings, above which they are a photograph
)
JUDGED_SIDE = 256  # the longer side, at most, at which roughness is judged
BLACK_TO_WHITE = (0.25, 0.75)  # a mask that reaches beyond both is split at 50 %
NAMES = {
    "black": (0.0, 0.0, 0.0),
    "white": (1.0, 1.0, 1.0),
    "grey": (0.5, 0.5, 0.5),
    "red": (1.0, 0.0, 0.0),
    "green": (0.0, 1.0, 0.0),
    "blue": (0.0, 0.0, 1.0),
    "yellow": (1.0, 1.0, 0.0),
    "cyan": (0.0, 1.0, 1.0),
    "magenta": (1.0, 0.0, 1.0),
}


@dataclass(frozen=True)
class Reading:
    """A mask as it was understood.

    picture: The mask as a picture in which at least 50 % white means marked; the mask itself where it is one already.
    words: What marks in it, such as "red strokes on white".
    """

    picture: Picture
    words: str


@dataclass(frozen=True)
class Levels:
    """The two levels of greys. flat: All flat levels, from dark to bright; empty where some of them are ramps."""

    low: float
    high: float
    flat: tuple[float, ...]


def marked(mask: Picture) -> Tensor:
    """The part of a mask as it was understood that is at least 50 % white, (1, 1, H, W) bool."""
    return rows.changed(image.rgb(mask), lambda strip: strip.mean(dim=1, keepdim=True) >= HALF, torch.bool)


def understood(mask: Picture, name: str) -> Reading:
    """What a mask means. name: of its file, for messages. Raises InputError where nobody can tell."""
    if mask.alpha is not None:
        least, most = rows.extremes(mask.alpha)
        if least < HALF and most > least:
            return _opaque(mask.alpha, image.rgb(mask))
        if most == 0:
            return _invisible(mask, name)
    colours = image.rgb(mask)
    if (coloured := _coloured(colours, name)) is not None:
        return coloured
    return _grey(replace(mask, alpha=None), name)


def on_black(mask: Picture, name: str) -> Tensor:
    """The colours (1, 3, H, W) of a drawing of labels, with strokes on transparency on black, in white where they all
    have one colour. Raises InputError where black is one of several."""
    colours = image.rgb(mask)
    if mask.alpha is None:
        return colours
    least, most = rows.extremes(mask.alpha)
    if least >= HALF or most < HALF:
        return colours
    inside = rows.changed(mask.alpha, lambda alpha: alpha >= HALF, torch.bool)
    painted = rows.sampled(colours, rows.WHOLE, inside)
    if _is_one(painted):
        return rows.changed(inside, lambda strip: strip.to(colours)).expand_as(colours)
    if float((painted.norm(dim=1) <= SAME_COLOUR).float().mean()) > BLACK_SHARE:
        raise _refuse(name, "it has black strokes among others on transparency")

    def drawn(top: int, bottom: int) -> Tensor:
        return torch.where(inside[:, :, top:bottom], colours[:, :, top:bottom], 0)

    return rows.composed(colours.shape, drawn, colours)


def _is_one(pixels: Tensor) -> bool:
    """Are colours (N, 3) all much alike?"""
    return float((pixels - pixels.mean(0)).norm(dim=1).mean()) < SAME_COLOUR


def _refuse(name: str, what: str) -> InputError:
    fix = "paint what it shall mark white and all else black"
    return InputError(f"{name}: as a mask this can mean several things: {what}; {fix}")


def _drawn(values: Tensor, share: Callable[[Tensor], Tensor], words: str) -> Reading:
    """What marks by a share, which may go beyond [0, 1], that is worked out of values (1, C, H, W) pixel by pixel."""
    return Reading(Picture(rows.changed(values, lambda strip: share(strip).clamp(0, 1))), words)


def _opaque(alpha: Tensor, colours: Tensor) -> Reading:
    """Strokes on transparency: whatever their colour, opaque means marked. Strokes that are all faint count in full."""
    most = rows.extremes(alpha)[1]

    def share(values: Tensor) -> Tensor:
        return values if most >= HALF else values / most

    inside = rows.sampled(colours, rows.WHOLE, rows.changed(alpha, lambda values: share(values) >= HALF, torch.bool))
    paint = f"{colour_name(inside.mean(0))} " if _is_one(inside) else ""
    faint = "" if most >= HALF else f" of at most {100 * most:.0f} %"
    return _drawn(alpha, share, f"{paint}strokes{faint} on transparency")


def _invisible(mask: Picture, name: str) -> Reading:
    """A mask without anything opaque; its colours must not tell another story."""
    if any(low < high for low, high in map(rows.extremes, mask.pixels[0])):
        raise _refuse(name, "it is transparent everywhere, though its hidden colours differ")
    assert mask.alpha is not None
    return Reading(Picture(mask.alpha), "transparent everywhere")


def _coloured(colours: Tensor, name: str) -> Reading | None:
    """Everything but the background of a drawing in colours (1, 3, H, W); None where they are greys."""
    vivid = rows.changed(colours, lambda strip: _chroma(strip) > CHROMA, torch.bool)
    if not vivid.any():
        return None
    base = _background(colours)
    if base is None:
        if rows.count(vivid) < COLOURED_SHARE * vivid.numel():
            return None
        return _paint_on_photograph(colours, name)
    apart = rows.changed(colours, lambda strip: _distance(strip, base) > SAME_COLOUR, torch.bool)
    if not apart.any():
        raise _refuse(name, f"it is {colour_name(base)} everywhere")
    if _is_grey(base) and rows.count(vivid & apart) < COLOURED_SHARE * rows.count(apart):
        return None
    # Split between the background and the stroke that is most alike it, so that soft edges end in their middle.
    strokes = _strokes(rows.sampled(colours, ENOUGH, apart), base)
    nearest = min((float((stroke - base).norm()) for stroke in strokes), default=2 * SAME_COLOUR)
    names = {colour_name(stroke) for stroke in strokes}
    what = f"{names.pop()} strokes" if len(names) == 1 else "strokes of several colours"
    return _drawn(colours, lambda strip: _distance(strip, base) / nearest, f"{what} on {colour_name(base)}")


def _chroma(colours: Tensor) -> Tensor:
    """By how much the channels of (1, 3, H, W) differ, (1, 1, H, W)."""
    return colours.amax(1, keepdim=True) - colours.amin(1, keepdim=True)


def _background(colours: Tensor) -> Tensor | None:
    """The colour (3,) of a drawing's background: it holds most of the border, or most of the picture. Where these are
    two, it is the grey one, since strokes have colours, or else the border's."""
    height, width = colours.shape[2:]
    ring = max(1, min(height, width) // 100)
    border = torch.ones(1, 1, height, width, dtype=torch.bool)
    border[:, :, ring : height - ring, ring : width - ring] = False
    (rim, rim_share), (all_over, share) = (_flat(rows.sampled(colours, ENOUGH, mask)) for mask in (border, None))
    if rim_share >= MOST and (share < MOST or float((rim - all_over).norm()) <= SAME_COLOUR):
        return rim
    if share < MOST:
        return None
    if rim_share < MOST or (_is_grey(all_over) and not _is_grey(rim)):
        return all_over
    return rim if rim_share >= CLEAR_MAJORITY or _is_grey(rim) else None


def _paint_on_photograph(colours: Tensor, name: str) -> Reading:
    """Flat strokes of one strong colour on a picture; InputError for a picture without."""
    strong = rows.changed(colours, lambda strip: _chroma(strip) >= PAINT_CHROMA, torch.bool)
    if rows.count(strong) >= max(1, PAINT_SHARE * strong.numel()):
        paint, share = _flat(rows.sampled(colours, ENOUGH, strong))
        near = rows.changed(colours, lambda strip: _distance(strip, paint) <= SAME_COLOUR, torch.bool)
        if share >= MOST and rows.share(near) >= PAINT_SHARE:
            words = f"{colour_name(paint)} strokes on a picture"
            return _drawn(colours, lambda strip: 1 - _distance(strip, paint) / (4 * SAME_COLOUR), words)
    raise _refuse(name, "it is a picture of many colours, none of which is its background")


def _distance(colours: Tensor, colour: Tensor) -> Tensor:
    """How far each pixel of (1, 3, H, W) is from a colour (3,): (1, 1, H, W)."""
    return (colours - colour.view(1, 3, 1, 1)).square_().sum(1, keepdim=True).sqrt_()  # `norm` takes far longer


def _commonest(pixels: Tensor) -> tuple[Tensor, float]:
    """The commonest of colours (N, 3), and the share of the pixels that are alike it."""
    bins = (pixels.clamp(0, 1) * 15.999).long() @ torch.tensor([256, 16, 1])
    first = pixels[bins == bins.bincount().argmax()].mean(0)
    first = pixels[(pixels - first).norm(dim=1) <= SAME_COLOUR / 2].mean(0)
    return first, float(((pixels - first).norm(dim=1) <= SAME_COLOUR).float().mean())


def _flat(pixels: Tensor) -> tuple[Tensor, float]:
    """As `_commonest`; the share is 0 where pixels alike the colour differ, as they do in photographs."""
    colour, share = _commonest(pixels)
    away = (pixels - colour).norm(dim=1)
    pure = float((away <= PURE_COLOUR).float().mean())
    return colour, share if pure >= PURITY * share else 0.0


def _strokes(pixels: Tensor, base: Tensor) -> list[Tensor]:
    """The colours that each hold a good share of pixels (N, 3), but for soft edges, which lie between the base and
    another of them; commonest first."""
    common, left = [], pixels
    while len(left):
        colour, share = _commonest(left)
        if share * len(left) < STROKE_SHARE * len(pixels):
            break
        common.append(colour - base)
        left = left[(left - colour).norm(dim=1) > SAME_COLOUR]

    def is_edge(one: Tensor, other: Tensor) -> bool:
        along = float(one @ other / (other @ other))
        return along < 0.95 and float((one - along * other).norm()) < SAME_COLOUR

    return [one + base for one in common if not any(is_edge(one, other) for other in common if other is not one)]


def _is_grey(colour: Tensor) -> bool:
    return float(colour.max() - colour.min()) <= CHROMA


def colour_name(colour: Tensor) -> str:
    """A colour (3,) in a word, or as #rrggbb where there is none."""
    distance = (torch.tensor(list(NAMES.values()), dtype=torch.float32) - colour).norm(dim=1)
    if float(distance.min()) <= SAME_COLOUR:
        return list(NAMES)[int(distance.argmin())]
    return f"#{bytes((colour.clamp(0, 1) * 255).round().long().tolist()).hex()}"


def _grey(mask: Picture, name: str) -> Reading:
    """The brighter of two levels, or what is at least 50 % white."""
    values = rows.changed(image.rgb(mask), lambda strip: strip.mean(1, keepdim=True))
    low, high = rows.extremes(values)
    if low == high:
        if low != 0 and low < WHITE:
            raise _refuse(name, f"it is {_level(low, mask)} everywhere")
        return Reading(mask, f"{'white' if low else 'black'} everywhere")
    if low >= 1 - NEAR_A_LEVEL and any(((strip > low) & (strip < high)).any() for (strip,) in rows.strips(values)):
        return Reading(mask, "white everywhere")
    levels = _levels(values, low, high)

    def share(strip: Tensor) -> Tensor:
        return (strip - levels.low) / (levels.high - levels.low)

    def between(strip: Tensor) -> Tensor:
        return (share(strip) > NEAR_A_LEVEL) & (share(strip) < 1 - NEAR_A_LEVEL)

    if len(levels.flat) > 2 and _jumps(values, low, high):
        listed = ", ".join(_level(each, mask) for each in levels.flat[:4])
        more = "" if len(levels.flat) <= 4 else " ..."
        raise _refuse(name, f"it has {len(levels.flat)} levels of grey ({listed}{more}), where two are a mask")
    whole = low >= 0 and levels.low <= BLACK_TO_WHITE[0] and levels.high >= BLACK_TO_WHITE[1] and high <= 1
    if rows.share(rows.changed(values, between, torch.bool)) > SOFT_SHARE:
        if _roughness(values, share) > ROUGH:
            raise _refuse(name, "it has greys of all kinds side by side, like a photograph")
        if not whole and not (low >= 0 and high <= 1 and low <= 0.4 and high >= 0.6):
            raise _refuse(name, f"it has soft greys from {_level(low, mask)} to {_level(high, mask)} only")
        return Reading(mask, "soft greys that are at least 50 % white")
    if whole:
        return Reading(mask, "white")
    words = f"the brighter of two levels, {_level(levels.high, mask)} beside {_level(levels.low, mask)}"
    return _drawn(values, share, words)


def _level(value: float, mask: Picture) -> str:
    """A level of grey as editors show it."""
    top = {"uint8": 255, "uint16": 65535}.get(mask.depth)
    return f"{value:.3g}" if top is None else f"{round(value * top)} of {top}"


def _levels(values: Tensor, low: float, high: float) -> Levels:
    """The two levels of greys (1, 1, H, W) between low and high: the flat ones, or the ends of the range."""
    if all(((strip == low) | (strip == high)).all() for (strip,) in rows.strips(values)):
        return Levels(low, high, (low, high))
    bins = 255 / (high - low if high - low < NOISE or high - low > 1 else 1)  # levels in no more of a range than noise
    counts = _flat_counts(values, low, FLAT_RANGE * (high - low), bins)
    common = (counts >= max(4.0, FLAT_SHARE * values.numel())).nonzero()[:, 0]
    breaks = ((common[1:] - common[:-1]) > LEAST_GAP).nonzero()[:, 0] + 1
    runs = common.tensor_split(breaks) if len(common) else ()
    if any(int(run[-1] - run[0]) > LONGEST_RUN for run in runs):
        return Levels(low, high, ())
    flat = tuple(low + int(run[counts[run].argmax()]) / bins for run in runs)
    if len(flat) == 1:  # thin strokes on it
        return Levels(flat[0], high, flat) if high - flat[0] > flat[0] - low else Levels(low, flat[0], flat)
    return Levels(flat[0], flat[-1], flat) if flat else Levels(low, high, ())


def _flat_counts(values: Tensor, low: float, span: float, bins: float) -> Tensor:
    """How many pixels of (1, 1, H, W) there are of each level from `low` on, of so many to 1, in areas of 3 x 3 pixels
    whose range is at most `span`: (n,)."""
    numbers = []
    for top, bottom in rows.spans(values.shape[2:]):
        some, inside = rows.around(values, top, bottom, 1)
        spread = F.max_pool2d(some, 3, 1, 1) + F.max_pool2d(-some, 3, 1, 1)
        flat = some[:, :, inside][spread[:, :, inside] <= span]
        numbers.append(((flat - low) * bins).round().long().bincount())
    return rows.summed(numbers)


def _jumps(values: Tensor, low: float, high: float) -> bool:
    """Do neighbours that differ do so by more than they would in a ramp of few levels between the ends of a range?"""
    wide, differing, far = 0, 0, RAMP_STEP * (torch.tensor(high) - torch.tensor(low))
    for top, bottom in rows.spans(values.shape[2:]):
        some = values[:, :, top : bottom + 1]
        for steps in (some[:, :, : bottom - top].diff(dim=3).abs(), some.diff(dim=2).abs()):
            wide += rows.count(steps > far)
            differing += rows.count(steps > 0)
    return wide > JUMPS * differing


def _roughness(values: Tensor, share_of: Callable[[Tensor], Tensor]) -> float:
    """The mean deviation of the shares of soft greys from their surroundings, in a picture of moderate size."""
    cell = -(-max(values.shape[2:]) // JUDGED_SIDE)

    def make(top: int, bottom: int) -> Tensor:
        shares = share_of(values[:, :, cell * top : cell * bottom]).clamp(0, 1)
        return F.avg_pool2d(shares, cell, ceil_mode=True, count_include_pad=False)

    size = (-(-side // cell) for side in values.shape[2:])
    share = rows.composed((1, 1, *size), make, values, cell=cell)
    around = F.avg_pool2d(share, 3, 1, 1, count_include_pad=False)
    soft = (around > NEAR_A_LEVEL) & (around < 1 - NEAR_A_LEVEL)
    return float((share - around).abs()[soft].mean())
