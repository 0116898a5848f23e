"""Packed maps: several roles of one value a pixel as the channels of one picture, as engines read them.

The orders are those of Unreal (ORM), Poly Haven (ARM), Unity's High Definition Render Pipeline (mask map) and its
other pipelines (metallicSmoothness), and glTF 2.0 (metallicRoughness).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from texsynth.errors import UsageError, one_line, shown
from texsynth.material.roles import (
    HEIGHT,
    INVERSE,
    METALLIC,
    OCCLUSION,
    OPACITY,
    ROLES,
    ROUGHNESS,
    SMOOTHNESS,
    plain,
    role_of,
)

LETTERS = "RGBA"
DETAIL = "detail"  # where Unity lays detail maps over: no role, a plain map
PACKED_ROLES = (OCCLUSION, ROUGHNESS, SMOOTHNESS, METALLIC, HEIGHT, OPACITY)
FORM = "NAME=R:ao,G:roughness,B:metallic"
Content = str | float  # a role, the name of a plain map, or a constant in [0, 1]


@dataclass(frozen=True)
class Packing:
    """What the channels of a packed map hold.

    name: its key in records, options and messages.
    channels: (letter, content) in the order of LETTERS; the letters that are not there are 0.
    """

    name: str
    channels: tuple[tuple[str, Content], ...]

    @property
    def contents(self) -> tuple[str, ...]:
        """The roles and plain maps that it holds."""
        return tuple(content for _, content in self.channels if isinstance(content, str))

    @property
    def planes(self) -> int:
        """Three channels, or four with alpha."""
        return 4 if self.channels[-1][0] == "A" else 3

    def __str__(self) -> str:
        return f"{self.name}=" + ",".join(f"{letter}:{_word(content)}" for letter, content in self.channels)


def _word(content: Content) -> str:
    return content if isinstance(content, str) else f"{content:g}"


def _in_order(name: str, *contents: str | None) -> Packing:
    return Packing(name, tuple((a, b) for a, b in zip(LETTERS, contents, strict=False) if b is not None))


PACKINGS = {
    packing.name: packing
    for packing in (
        _in_order("orm", OCCLUSION, ROUGHNESS, METALLIC),
        _in_order("arm", OCCLUSION, ROUGHNESS, METALLIC),
        _in_order("rma", ROUGHNESS, METALLIC, OCCLUSION),
        _in_order("maskmap", METALLIC, OCCLUSION, DETAIL, SMOOTHNESS),
        _in_order("metallicsmoothness", METALLIC, None, None, SMOOTHNESS),
        _in_order("metallicroughness", None, ROUGHNESS, METALLIC),
    )
}
# What files call them beside their names, without separators and in lower case.
WORDS = {
    "occlusionroughnessmetallic": "orm",
    "aoroughnessmetallic": "arm",
    "roughnessmetallicocclusion": "rma",
    "roughnessmetallicao": "rma",
    "metalrough": "metallicroughness",
    "metallicrough": "metallicroughness",
    "metalnessroughness": "metallicroughness",
}
# What each naming scheme calls the packings that its engine reads.
SCHEMES = {
    "unreal": {"orm": "ORM", "rma": "RMA"},
    "unity": {"maskmap": "MaskMap", "metallicsmoothness": "MetallicSmoothness"},
    "gltf": {"orm": "occlusionRoughnessMetallic", "metallicroughness": "metallicRoughness"},
    "polyhaven": {"arm": "arm"},
}


def packing_of(word: str) -> Packing | None:
    """The built-in packing that a word in a file's name means, in any case and with any separators; None for others."""
    text = plain(word)
    return PACKINGS.get(WORDS.get(text, text))


def named_in(packing: Packing, scheme: str) -> str:
    """What a naming scheme calls a packed map; its own name where the scheme has no word for this order."""
    for name, word in SCHEMES.get(scheme, {}).items():
        if name == packing.name or PACKINGS[name].channels == packing.channels:
            return word
    return packing.name


def parse(text: str, flag: str = "--pack") -> Packing:
    """ "orm", or "NAME=R:ao,G:roughness,B:metallic[,A:1]" -> the packing; raises UsageError."""
    name, equals, spec = text.partition("=")
    if not equals:
        if (built_in := packing_of(text)) is None:
            raise UsageError(f"{flag} {shown(text)} is not {', '.join(PACKINGS)} or {FORM}")
        return built_in
    what = f"{flag} {one_line(text)}"
    if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii() or len(name) > 64:
        raise UsageError(f"{what}: {shown(name)} is no name of letters and digits; write {FORM}")
    if role_of(name) is not None:
        raise UsageError(f"{what}: {name} means a single map; call the packed one something else")
    parts = [_channel(part, what) for part in spec.split(",")]
    for every, kind in (([letter for letter, _ in parts], "channel"), (_texts(parts), "map")):
        if twice := [each for number, each in enumerate(every) if each in every[:number]]:
            raise UsageError(f"{what}: the {kind} {twice[0]} is there twice; each goes once")
    if not _texts(parts):
        raise UsageError(f"{what}: holds no map; allowed: {_allowed()}")
    packing = Packing(name, tuple(sorted(parts, key=lambda part: LETTERS.index(part[0]))))
    if (built_in := packing_of(name)) is not None and built_in.channels != packing.channels:
        raise UsageError(f"{what}: {name} is built in as {built_in}; call yours something else")
    return packing


def _texts(parts: Sequence[tuple[str, Content]]) -> list[str]:
    return [content for _, content in parts if isinstance(content, str)]


def _channel(text: str, what: str) -> tuple[str, Content]:
    """ "G:roughness" -> ("G", "roughness"); raises UsageError."""
    letter, colon, word = (part.strip() for part in text.partition(":"))
    if not colon or not word:
        raise UsageError(f"{what}: {shown(text)} is not CHANNEL:MAP; write {FORM}")
    if letter.upper() not in (*LETTERS,):
        raise UsageError(f"{what}: {shown(letter)} is no channel; allowed: {', '.join(LETTERS)}")
    return letter.upper(), _content(word, what)


def _content(word: str, what: str) -> Content:
    """A role by a word for it, a detail mask, or a number in [0, 1]; raises UsageError."""
    if plain(word) in (DETAIL, f"{DETAIL}mask"):
        return DETAIL
    role = role_of(word)
    if role is not None and role.name in PACKED_ROLES:
        return role.name
    try:
        value = float(word)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        kind = "is no map that fits a channel" if role is None else "takes more than a channel"
        raise UsageError(f"{what}: {shown(word)} {kind}; allowed: {_allowed()}")
    return value


def _allowed() -> str:
    return f"{', '.join(PACKED_ROLES)}, {DETAIL}, or a number from 0 to 1"


def sources(packing: Packing, names: Iterable[str]) -> dict[str, str]:
    """Which of some maps each content of a packing is made of, by their roles or names: the one of its role, else the
    one that it is the inverse of; contents for which there is none are left out."""
    roles = {role.name if (role := role_of(name)) else name: name for name in names}
    wanted = {content: (content, INVERSE.get(content, content)) for content in packing.contents}
    return {content: roles[name] for content, both in wanted.items() for name in both[::-1] if name in roles}


def absent(content: Content) -> float:
    """The value, in [0, 1], of a channel whose map is not there."""
    if not isinstance(content, str):
        return content
    return ROLES[content].absent if content in ROLES else 0.0
