"""The shaders that draw what is written: files of shaders/, which go with it as they are, and which viewers run."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "shaders"
TILES = ("tiles.glsl", "tiles.hlsl", "tiles.osl")
BLEND = ("blend.glsl", "blend.hlsl", "blend.osl", "blend.mtlx")
TEXTURE = "TEXTURE.png"  # stands in blend.mtlx for the name of the texture that repeats


def source(name: str) -> str:
    """The text of one of them."""
    return (FOLDER / name).read_text("utf-8")
