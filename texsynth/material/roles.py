"""What the maps of a material mean: the one table of their roles, and the words by which files name them.

Words are those of engines, libraries and painting programs (Unreal, Unity, glTF, Poly Haven, Poliigon and others). A
role decides how values are treated: colours are sRGB, all others are plain numbers, which are copied, never converted
and never tagged as colours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

GL, DX = "gl", "dx"  # green of a normal map points up (OpenGL), or down (DirectX)
CONVENTIONS = (GL, DX)
BASE_COLOUR, NORMAL, HEIGHT, ROUGHNESS, SMOOTHNESS = "base_colour", "normal", "height", "roughness", "smoothness"
METALLIC, OCCLUSION, EMISSIVE, OPACITY = "metallic", "occlusion", "emissive", "opacity"


@dataclass(frozen=True)
class Role:
    """What a map of a material means.

    name: its key in records, options and messages.
    words: what files call it, in lower case and without separators; the first one is the plainest.
    letters: single letters that mean it too, but only where several files share what stands before.
    is_colour: are its values sRGB?
    channels: how many its values have.
    absent: the value, in [0, 1], that stands for it where a packed map needs it and a set has none.
    """

    name: str
    words: tuple[str, ...]
    letters: tuple[str, ...] = ()
    is_colour: bool = False
    channels: int = 1
    absent: float = 0.0


ROLES = {
    role.name: role
    for role in (
        Role(
            BASE_COLOUR,
            (
                *("basecolor", "basecolour", "albedo", "diffuse", "diff", "color", "colour", "col", "bc", "basemap"),
                "albedotransparency",
            ),
            ("d",),
            is_colour=True,
            channels=3,
        ),
        Role(
            NORMAL,
            tuple(
                f"{word}{convention}"
                for convention in ("", "gl", "ogl", "opengl", "dx", "directx")
                for word in ("normal", "normals", "nrm", "nrm16", "norm", "nor")
            ),
            ("n",),
            channels=3,
            absent=0.5,
        ),
        Role(HEIGHT, ("height", "displacement", "disp", "disp16", "bump", "bump16"), ("h",)),
        Role(ROUGHNESS, ("roughness", "rough", "rgh"), ("r",), absent=1.0),
        Role(SMOOTHNESS, ("smoothness", "gloss", "glossiness"), absent=0.0),
        Role(METALLIC, ("metallic", "metalness", "metal"), ("m",)),
        Role(OCCLUSION, ("occlusion", "ambientocclusion", "ao", "mixedao", "occ"), absent=1.0),
        Role(EMISSIVE, ("emissive", "emission"), ("e",), is_colour=True, channels=3),
        Role(OPACITY, ("opacity", "alpha"), absent=1.0),
    )
}
INVERSE = {ROUGHNESS: SMOOTHNESS, SMOOTHNESS: ROUGHNESS}  # one is 1 less the other
_BY_WORD = {word: role for role in ROLES.values() for word in (*role.words, role.name.replace("_", ""))}
_BY_LETTER = {letter: role for role in ROLES.values() for letter in role.letters}


def plain(word: str) -> str:
    """A word in lower case, without separators: "Base_Color" -> "basecolor"."""
    return re.sub(r"[_\-. ]+", "", word.lower())


def role_of(word: str, letters: bool = False) -> Role | None:
    """The role that a word means, in any case and with any separators inside; None for other words. letters: do single
    letters count?"""
    return _BY_WORD.get(plain(word)) or (_BY_LETTER.get(plain(word)) if letters else None)


def convention_of(word: str) -> str | None:
    """The convention that a word for normals names, "gl" or "dx"; None where it names none."""
    text = plain(word)
    if role_of(text) != ROLES[NORMAL]:
        return None
    return GL if text.endswith("gl") else DX if text.endswith(("dx", "directx")) else None
