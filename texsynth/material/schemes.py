"""What engines and libraries call the maps of a material, and the names of files that follow from it.

Unreal Engine, Unity, glTF 2.0 and Poly Haven, the words of the inputs ("same"), or a pattern of one's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from texsynth.errors import UsageError, shown
from texsynth.material.names import UNREAL, split
from texsynth.material.roles import (
    BASE_COLOUR,
    DX,
    EMISSIVE,
    GL,
    HEIGHT,
    METALLIC,
    NORMAL,
    OCCLUSION,
    OPACITY,
    ROLES,
    ROUGHNESS,
)

SAME = "same"  # the words of the inputs, in the convention that they have
STEM, ROLE = "{stem}", "{role}"
NUMBER = r"(?P<number>(-\d+)?)"  # of a variation
_ROLES = (BASE_COLOUR, NORMAL, HEIGHT, ROUGHNESS, METALLIC, OCCLUSION, EMISSIVE, OPACITY)


@dataclass(frozen=True)
class Scheme:
    """How files are named.

    name: its word, or the pattern. pattern: what a stem is, with {stem} and {role}. words: those of the roles that it
    has. normals: the convention of its normal maps.
    """

    name: str
    pattern: str
    words: Mapping[str, str]
    normals: str = GL

    @property
    def is_of_an_engine(self) -> bool:
        return self.name in SCHEMES

    def word(self, role: str, normals: str | None) -> str | None:
        """The word for a role, of normals in their convention; None where the scheme has none."""
        word = self.words.get(role)
        return None if word is None else word.format(normals=normals or self.normals)

    def stem(self, stem: str, word: str, number: str = "") -> str:
        """The stem of a file."""
        return self.pattern.replace(ROLE, word).replace(STEM, stem) + number

    def image(self, stem: str) -> str:
        """The stem of the file of a base colour that was to be called `stem`, whose word for a base colour is left
        out."""
        name = split(stem)
        base = name.base if name is not None and name.kind == BASE_COLOUR and name.base else stem
        return self.stem(base.removeprefix(UNREAL), self.words[BASE_COLOUR])

    def parts(self, image: str) -> tuple[str, str]:
        """The stem and the number of a variation in the stem of a base colour's file."""
        pattern = re.escape(self.pattern.replace(ROLE, self.words[BASE_COLOUR])).replace(
            re.escape(STEM), "(?P<stem>.+?)"
        )
        match = re.fullmatch(pattern + NUMBER, image)
        if match is None:
            return image, ""
        return match.groupdict().get("stem", ""), match["number"]


def _scheme(name: str, pattern: str, *words: str, normals: str = GL) -> Scheme:
    return Scheme(name, pattern, dict(zip(_ROLES, words, strict=True)), normals)


SCHEMES = {
    scheme.name: scheme
    for scheme in (
        _scheme("unreal", "T_{stem}_{role}", "BC", "N", "H", "R", "M", "AO", "E", "Opacity", normals=DX),
        _scheme(
            *("unity", "{stem}_{role}", "BaseMap", "Normal", "Height", "Roughness"),
            *("Metallic", "Occlusion", "Emission", "Opacity"),
        ),
        _scheme(
            *("gltf", "{stem}_{role}", "baseColor", "normal", "height", "roughness"),
            *("metallic", "occlusion", "emissive", "opacity"),
        ),
        _scheme(
            *("polyhaven", "{stem}_{role}", "diff", "nor_{normals}", "disp", "rough"),
            *("metal", "ao", "emission", "alpha"),
        ),
    )
}
CHOICES = (SAME, *SCHEMES)


def scheme(text: str) -> Scheme | None:
    """The scheme of a word or a pattern, None for the inputs' own words; raises UsageError."""
    if text == SAME:
        return None
    if text in SCHEMES:
        return SCHEMES[text]
    allowed = f"{', '.join(CHOICES)} or a pattern with {STEM} and {ROLE}, such as {STEM}_{ROLE}"
    if ROLE not in text:
        raise UsageError(f"--names {shown(text)} is not {allowed}")
    rest = text.replace(ROLE, "").replace(STEM, "")
    if re.search(r'[/\\{}\0-\x1f\x7f:*?"<>|]', rest) or text.count(STEM) > 1 or text.count(ROLE) > 1:
        raise UsageError(
            f"--names {shown(text)}: {STEM} and {ROLE} stand once each, and beside them what names of "
            "files may hold, but no folders"
        )
    return Scheme(text, text, {role.name: role.words[0] for role in ROLES.values()})
