"""Maps into the channels of one picture and out of them again, bit for bit."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from texsynth.errors import InputError
from texsynth.image import codecs, rows, strips
from texsynth.image.load import Note
from texsynth.image.picture import Picture
from texsynth.image.pixels import LEVELS
from texsynth.image.strips import Strips
from texsynth.material import packing as packings
from texsynth.material.packing import LETTERS, Content, Packing, absent
from texsynth.material.roles import role_of


@dataclass(frozen=True)
class _Plane:
    """What a channel is filled with: a map and how it is read, or where there is none a constant.

    times: how often each of its values stands in a row and in a column. inverted: is 1 less the value taken?
    """

    picture: Strips | None = None
    value: float = 0.0
    times: int = 1
    inverted: bool = False

    def draw(self, top: int, bottom: int, target: Tensor) -> None:
        """Write some rows of the channel to (1, 1, n, width), and let go of what was read for them."""
        if self.picture is None:
            target.fill_(self.value)
            return
        first = top // self.times
        source = self.picture.rows(first, -(-bottom // self.times)).pixels[:, :1]
        values = rows.repeated(source, self.times)[:, :, top - first * self.times : bottom - first * self.times]
        target.copy_(1 - values if self.inverted else values)
        rows.release(source)


def pack(maps: Mapping[str, Picture | Strips], packing: Packing, note: Note) -> Strips:
    """The packed map of maps by their roles, in the deepest of their depths and the size of the largest.

    Integers of 8 bits become v * 257 beside 16 bits, integers beside floats the floats that they stand for. A smaller
    map's values are repeated. Where a packing wants roughness and there is smoothness, or the other way round, it is
    the largest value less each value. What is not there is filled with its role's constant; the user is told of all of
    these. Of a map with several channels the first is taken. Raises InputError where there is none of the maps, and
    for sizes of which one is no whole multiple of the other.
    """
    of_content = packings.sources(packing, maps)
    used = {name: maps[name] for name in of_content.values()}
    if not used:
        wanted, there = ", ".join(packing.contents), ", ".join(maps) or "no map"
        raise InputError(f"{packing.name} is packed of {wanted}, and there is {there}")
    size = _common_size(used, packing.name, note)
    depth = deepest({picture.depth for picture in used.values()})
    planes = [_Plane()] * packing.planes
    for letter, content in packing.channels:
        source = of_content.get(content) if isinstance(content, str) else None
        plane = _plane(content, source, used, size[0], packing.name, note)
        planes[LETTERS.index(letter)] = replace(plane, value=_stored(plane.value, depth))
    tags = codecs.Tags(density=next(iter(used.values())).tags.density)

    def draw(top: int, bottom: int) -> Picture:
        values = torch.empty(1, len(planes), bottom - top, size[1])
        for plane, target in zip(planes, values.split(1, 1), strict=True):
            plane.draw(top, bottom, target)
        return Picture(values[:, :3], values[:, 3:] if len(planes) == 4 else None, depth)

    return Strips(size, 3, draw, packing.planes == 4, depth, None, tags)


def deepest(depths: Set[str]) -> str:
    """The depth that holds the values of all of these."""
    return next(iter(depths)) if len(depths) == 1 else "uint16" if depths <= LEVELS.keys() else "float32"


def kept_by(form: codecs.Format, packing: Packing) -> bool:
    """Does a format keep all channels of a packed map? Not where it multiplies three by the fourth, as alpha."""
    return packing.planes < 4 or not form.is_premultiplied


def unpack(picture: Picture, packing: Packing) -> dict[str, Picture]:
    """The maps in the channels of a packed one, by role, which share its memory.

    A channel to which the packing gives no map is one of the packing's name and its letter, so that nothing is lost;
    but none where it is all over what it would be filled with. Raises InputError for a grey picture.
    """
    if picture.channels == 1:
        raise InputError(f"it is grey, and {packing} has several channels")
    filled, maps = dict(packing.channels), {}
    for letter in LETTERS[: 3 + (picture.alpha is not None)]:
        content, plane = filled.get(letter, float(letter == "A")), channel(picture, letter)
        if isinstance(content, str):
            maps[content] = plane
        elif rows.extremes(plane.pixels) != (_stored(content, picture.depth),) * 2:
            maps[_spare(packing, letter)] = plane
    return maps


def again(packing: Packing, names: Collection[str]) -> Packing:
    """The packing of what `unpack` made maps of these names of: with the channels to which it gives no map itself."""
    spare = {letter: _spare(packing, letter) for letter in LETTERS}
    extra = {letter: name for letter, name in spare.items() if name in names}
    return replace(packing, channels=tuple(sorted((dict(packing.channels) | extra).items(), key=_place)))


def channel(picture: Picture, letter: str) -> Picture:
    """A channel of a picture as a grey one, which shares its memory."""
    pixels = picture.pixels[:, LETTERS.index(letter)].unsqueeze(1) if letter != "A" else picture.alpha
    if pixels is None:
        raise InputError("it has no alpha")
    return Picture(pixels, None, picture.depth, None, codecs.Tags(density=picture.tags.density))


def _place(channel: tuple[str, Content]) -> int:
    return LETTERS.index(channel[0])


def _spare(packing: Packing, letter: str) -> str:
    """The name of a channel that has no map of its own."""
    return f"{packing.name}_{letter.lower()}"


def _stored(value: float, depth: str) -> float:
    """The float that stands for a constant in a picture of this depth."""
    one = torch.tensor(value)
    return float((one * LEVELS[depth]).round() / LEVELS[depth] if depth in LEVELS else one)


def _common_size(maps: Mapping[str, Picture | Strips], what: str, note: Note) -> tuple[int, int]:
    """The size (height, width) of the largest map, of which those of all others are whole parts; InputError."""
    sizes = {name: (picture.height, picture.width) for name, picture in maps.items()}
    largest = max(sizes, key=lambda name: sizes[name][0] * sizes[name][1])
    height, width = sizes[largest]
    for name, (h, w) in sizes.items():
        if height % h or width % w or height // h != width // w:
            raise InputError(
                f"{name} is {w}x{h} and {largest} {width}x{height}: to go into {what} together, one must be a "
                f"whole number of times as large as the other"
            )
        if h != height:
            note(f"{what}: {name} is {w}x{h}, and each of its values goes to {height // h} x {height // h} pixels")
    return height, width


def _plane(
    content: Content, source: str | None, maps: Mapping[str, Picture | Strips], height: int, what: str, note: Note
) -> _Plane:
    """What fills a channel; adds what the user should know."""
    if source is None:
        value = absent(content)
        if isinstance(content, str):
            note(f"{what}: there is no map {content}; its channel is filled with {value:g}")
        return _Plane(value=value)
    picture = maps[source]
    role = role_of(source)
    inverted = role is not None and source != content and role.name != content
    if role is not None and inverted:
        note(f"{what}: {content} is made of {role.name}, the inverse of it")
    if isinstance(picture, Picture) and not _is_grey(picture):
        note(f"{what}: the map {source} is coloured; its red channel is taken")
    if picture.alpha is not None if isinstance(picture, Picture) else picture.has_alpha:
        note(f"{what}: the alpha of the map {source} is left out")
    once = picture if isinstance(picture, Strips) else strips.of(picture)
    return _Plane(once, 0.0, height // once.height, inverted)


def _is_grey(picture: Picture) -> bool:
    """Have all channels of a picture the same values?"""
    first = picture.pixels[:, :1]
    return picture.channels == 1 or all(bool((part == one).all()) for part, one in rows.strips(picture.pixels, first))
