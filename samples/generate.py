"""Draw the sample pictures and the maps beside them: python samples/generate.py [-o DIR] [NAME...]

Each material is seeded by its own name, so one of them can be drawn alone and comes out the same.
"""

import argparse
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

import fibres
import loose
import masonry
import paving
import scenes
import surfaces
from shading import to8

MATERIALS = {
    "brick": masonry.brick,
    "planks": masonry.planks,
    "stonewall": masonry.stonewall,
    "cracked_earth": masonry.cracked_earth,
    "pebbles": loose.pebbles,
    "gravel": loose.gravel,
    "terrazzo": loose.terrazzo,
    "leaves": loose.leaves,
    "coffee": loose.coffee,
    "cloth": fibres.cloth,
    "grass": fibres.grass,
    "wicker": fibres.wicker,
    "scales": surfaces.scales,
    "rust": surfaces.rust,
    "mat": scenes.mat,
    "cobble": paving.cobble,
}

AS_SETS = {"cobble"}  # in a folder of their own, as libraries hand materials out

# JPEG keeps the repository small; those with maps to compare pixel by pixel (normals, directions) stay PNG.
AS_JPEG = {
    "cloth",
    "planks",
    "stonewall",
    "cracked_earth",
    "gravel",
    "terrazzo",
    "leaves",
    "coffee",
    "wicker",
    "mat",
    "cobble",
}


def draw(name):
    """The layers of one material by role; the picture itself has the empty role."""
    return MATERIALS[name](np.random.default_rng(zlib.crc32(name.encode())))


def vector_picture(field):
    """A field of unit vectors as colours: red and green v stand for 2v / 255 - 1."""
    return to8(np.dstack([0.5 + 0.5 * field[0], 0.5 + 0.5 * field[1], np.full(field.shape[1:], 0.5)]))


def save(folder, name, layers):
    """Write each layer to its file, a set to its folder; a vector field is written as numbers and as a picture."""
    if name in AS_SETS:
        folder = folder / name
        folder.mkdir(exist_ok=True)
    for role, pixels in layers.items():
        stem = f"{name}_{role}" if role else name
        if pixels.dtype == np.float32:
            np.save(folder / f"{stem}.npy", pixels)
            pixels = vector_picture(pixels)
        if role in ("", "BaseColor") and name in AS_JPEG:
            Image.fromarray(pixels).save(folder / f"{stem}.jpg", quality=92, subsampling=0, optimize=True)
        else:
            Image.fromarray(pixels).save(folder / f"{stem}.png", optimize=True)


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"materials to draw (all): {', '.join(MATERIALS)}")
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent, metavar="DIR")
    args = parser.parse_args()
    unknown = set(args.names) - set(MATERIALS)
    if unknown:
        parser.error(f"no such material: {', '.join(sorted(unknown))}; choose from {', '.join(MATERIALS)}")
    args.output.mkdir(parents=True, exist_ok=True)
    for name in args.names or MATERIALS:
        save(args.output, name, draw(name))
        print(name)


if __name__ == "__main__":
    main()
