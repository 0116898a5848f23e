"""Is a map what its role says? Pictures that cannot be are refused, and what may disappoint is told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction

from texsynth.errors import InputError, UsageError, listed
from texsynth.image import rows
from texsynth.image.load import Note, extent
from texsynth.image.picture import Picture
from texsynth.material.packing import Packing, sources
from texsynth.material.roles import HEIGHT, ROLES, role_of

LENGTHS = 0.7, 1.2  # of vectors that pass: means of steep ones, as in mip levels, are shorter, sharpened ones longer
DEEPEST = -0.05  # of the part along the surface's normal, which rounding and compression take below 0
SOUND = 0.6  # the share of the vectors that must pass; of photographs up to half do, of steep mip levels 0.8 and more
FLAT = 0.06  # the range of encoded parts along the surface, up to which 8 bits hold no change of the third
CONSTANT = 1e-6  # the range of values that are all the same
STRETCH = 0.5  # a difference in aspect above this is refused
IS_NAMED = "give it another name to copy it as it is, as with --map detail=FILE"


def has_two_parts(picture: Picture) -> bool:
    """Is the third part of all normals the same, as BC5 saves two?"""
    low, high = rows.extremes(picture.pixels[:, 2:3])
    least, most = rows.extremes(picture.pixels[:, :2])
    return high - low < CONSTANT and most - least > FLAT


def check_normals(picture: Picture, name: str, note: Note) -> None:
    """Do as `check_vectors` where all parts of the vectors are there; where only two are, the user is told."""
    if has_two_parts(picture):
        blue = float(picture.pixels[0, 2, 0, 0])
        note(
            f"{name}: its blue is {blue:g} everywhere, so it holds two parts of each normal, as BC5 does; red and "
            "green turn with their copy, blue stays"
        )
    else:
        check_vectors(picture, name)


def check_vectors(picture: Picture, name: str, remedy: str = IS_NAMED) -> None:
    """Raise InputError where most vectors of a picture of three channels, encoded in [0, 1], are far from unit length
    or point into the surface. What is black or clear counts as none. remedy: the end of the messages."""
    passing, vectors = _passing(picture, 2.0, -1.0)
    if passing >= SOUND * vectors > 0:
        return
    if picture.depth.startswith("float") and rows.extremes(picture.pixels)[0] < DEEPEST:
        passing, vectors = _passing(picture, 1.0, 0.0)
        if passing >= SOUND * vectors > 0:
            raise InputError(
                f"{name}: its normals have signs, from -1 to 1; write them as (n + 1) / 2, from 0 to 1, or {remedy}"
            )
    share = 100 * (1 - passing / max(1, vectors))
    raise InputError(
        f"{name}: is no normal map, as {share:.0f} % of its vectors are far from unit length or point into the "
        f"surface; {remedy}"
    )


def _passing(picture: Picture, scale: float, offset: float) -> tuple[int, int]:
    """How many vectors of a picture, scale * value + offset, are near to unit length, and how many there are."""
    passing = vectors = 0
    parts = [picture.pixels] if picture.alpha is None else [picture.pixels, picture.alpha]
    for pixels, *clear in rows.strips(*parts):
        there = pixels.abs().amax(1, keepdim=True) > 0
        there = there & (clear[0] > 0) if clear else there
        x, y, z = (scale * part + offset for part in pixels.split(1, 1))
        length = (x * x + y * y + z * z).sqrt_()
        sound = (length >= LENGTHS[0]) & (length <= LENGTHS[1]) & (z >= DEEPEST) & there
        passing, vectors = passing + rows.count(sound), vectors + rows.count(there)
    return passing, vectors


def tell_of_height(picture: Picture, name: str, maps: Iterable[str], note: Note) -> None:
    """Say where a picture that holds a height among its `maps` has few steps."""
    if picture.depth == "uint8" and ROLES[HEIGHT] in map(role_of, maps):
        note(f"{name}: has 8 bits, and heights of 256 steps show as terraces; 16 bits are better")


def check_channels(picture: Picture, name: str) -> None:
    """Raise InputError where the fourth channel of a packed map has multiplied the others, as alpha does in an EXR."""
    if picture.alpha is not None and name.lower().endswith(".exr") and rows.extremes(picture.alpha)[0] < 1:
        raise InputError(f"{name}: alpha multiplies colours in an EXR, so it holds no four maps; save a PNG or TIFF")


def check_claims(there: Iterable[str], fresh: Iterable[str], name: str) -> None:
    """Raise InputError where one of the maps that a file brings means what one that is there means."""
    meant = {_meaning(each) for each in there}
    for each in fresh:
        if _meaning(each) in meant:
            raise InputError(f"{name}: there is a map {each} beside it, and a set has one; leave one of them out")


def check_pack(packing: Packing, scales: Mapping[str, Fraction]) -> None:
    """Refuse to pack maps of these names and scales where there is nothing to pack, with UsageError, and where they do
    not fit each other, with InputError."""
    parts = sources(packing, scales).values()
    if not parts:
        there = f"only {listed(scales)}" if scales else "and no map at all"
        raise UsageError(f"--pack {packing.name}: there is none of {', '.join(packing.contents)}, {there}")
    largest = max(parts, key=lambda name: scales[name])
    for name in parts:
        if (scales[largest] / scales[name]).denominator > 1:
            both = f"{name} is {scales[name]} and {largest} {scales[largest]} times as fine as the exemplar"
            raise InputError(f"--pack {packing.name}: {both}; one must be a whole number of times as fine as the other")


def _meaning(name: str) -> str:
    role = role_of(name)
    return name if role is None else role.name


def check_aspect(picture: Picture, size: tuple[int, int], name: str, exemplar: str) -> None:
    """Raise InputError where a map is of quite another shape than its exemplar of `size` (height, width)."""
    height, width = extent(picture)
    ratio = (width * size[0]) / (height * size[1])
    differs = max(ratio, 1 / ratio) - 1
    if differs > STRETCH:
        raise InputError(
            f"{name} is {width}x{height}, and {exemplar} {size[1]}x{size[0]}: the aspect differs by "
            f"{100 * differs:.0f} %, and up to {100 * STRETCH:.0f} % are stretched; give the map of that picture"
        )
