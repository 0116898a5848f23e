"""texsynth guide KIND: maps for `texsynth control`, drawn by a formula or read out of a picture."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from texsynth.cli import messages
from texsynth.cli.command import group
from texsynth.errors import UsageError
from texsynth.foreign.piped import STANDARD

if TYPE_CHECKING:
    from torch import Tensor

app = group("Draw a map that steers a texture, or read one out of a picture.")
DIRECTIONS = "angle:DEG (clockwise from the x axis), circle, spiral or s-curve"
Output = Annotated[
    Path, typer.Option("-o", "--output", metavar="MAP", help="The map to write: 16-bit grey; - for standard output.")
]
Field = Annotated[
    Path,
    typer.Option("-o", "--output", metavar="MAP", help="The field to write: .npy or a picture; - for standard output."),
]
Size = Annotated[
    str, typer.Option("-s", "--size", metavar="WxH|N", help="The size of the map: pixels, or N for a square.")
]
Angle = Annotated[float, typer.Option("--angle", metavar="DEG", help="The angle, clockwise on screen from the x axis.")]
Period = Annotated[
    float | None,
    typer.Option(
        "--period",
        metavar="PIXELS",
        help="The length of a bump or of a pair of stripes. Default: a quarter of the shorter side for perlin, an "
        "eighth for stripes.",
        show_default=False,
    ),
]
Tile = Annotated[
    str, typer.Option("--tile", metavar="none|x|y|xy", help="The directions in which the map repeats without a seam.")
]
Hard = Annotated[bool, typer.Option("--hard", help="Draw in black and white only, split at one half: a label map.")]
Invert = Annotated[bool, typer.Option("--invert", help="Exchange black and white.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")]
Strokes = Annotated[
    Path | None,
    typer.Option("--strokes", metavar="FILE", help="Draw the directions as strokes too.", show_default=False),
]
Memory = Annotated[
    str,
    typer.Option("--max-memory", metavar="6G", help="Refuse to read a picture that needs more memory than this."),
]
Image = Annotated[Path, typer.Argument(metavar="IMAGE", help="The picture to read the map from.", show_default=False)]


@app.command(epilog="Example: texsynth guide perlin -o blotches.png -s 768x512 --period 120 --seed 3")
def perlin(
    output: Output,
    size: Size = "512",
    period: Period = None,
    octaves: Annotated[
        int, typer.Option("--octaves", min=1, max=10, help="The number of layers, each half as coarse.")
    ] = 3,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same map.")] = 0,
    tile: Tile = "none",
    hard: Hard = False,
    invert: Invert = False,
    force: Force = False,
) -> None:
    """Smooth random blotches."""
    draw, extent, wraps = _begun(output, size, force, tile)
    _write_map(draw.perlin(extent, _period(period, extent, 4), octaves, seed, wraps), output, force, invert, hard)


@app.command(epilog="Example: texsynth guide radial -o spot.png --centre 0.3,0.5")
def radial(
    output: Output,
    size: Size = "512",
    centre: Annotated[
        str, typer.Option("--centre", metavar="X,Y", help="The white point, in shares of width and height.")
    ] = "0.5,0.5",
    tile: Tile = "none",
    hard: Hard = False,
    invert: Invert = False,
    force: Force = False,
) -> None:
    """White at a point, black far from it."""
    draw, extent, wraps = _begun(output, size, force, tile)
    _write_map(draw.radial(extent, _centre(centre), wraps), output, force, invert, hard)


@app.command(epilog="Example: texsynth guide linear -o ramp.png --angle 90")
def linear(
    output: Output, size: Size = "512", angle: Angle = 0.0, invert: Invert = False, force: Force = False
) -> None:
    """An even ramp, brighter in the direction of the angle."""
    draw, extent, _ = _begun(output, size, force)
    _write_map(draw.linear(extent, angle), output, force, invert)


@app.command(epilog="Example: texsynth guide stripes -o stripes.png --period 64 --angle 30 --tile xy")
def stripes(
    output: Output,
    size: Size = "512",
    period: Period = None,
    angle: Angle = 0.0,
    soft: Annotated[
        float, typer.Option("--soft", min=0, max=1, help="How soft edges are: 0 for hard ones, 1 for a sine.")
    ] = 1.0,
    tile: Tile = "none",
    invert: Invert = False,
    force: Force = False,
) -> None:
    """Stripes along an angle; --tile fits period and angle to whole numbers of stripes."""
    draw, extent, wraps = _begun(output, size, force, tile)
    _write_map(draw.stripes(extent, _period(period, extent, 8), angle, soft, wraps), output, force, invert)


@app.command(epilog="Example: texsynth guide direction s-curve -o flow.npy --strokes flow.png")
def direction(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"The field: {DIRECTIONS}.", show_default=False)],
    output: Field,
    size: Size = "512",
    strokes: Strokes = None,
    force: Force = False,
) -> None:
    """A built-in field of directions."""
    from texsynth.guidance import orientation

    extent = _size(size)
    field = orientation.built_in(name, extent)
    if field is None:
        raise UsageError(f"direction {name!r} is not built in; allowed: {DIRECTIONS}")
    _check(output, extent, force, strokes=strokes, array=True)
    _write_field(field, output, force, strokes)


@app.command(epilog="Example: texsynth guide orientation samples/grass.png -o blades.npy --strokes blades.png")
def orientation(
    image: Image,
    output: Field,
    sigma: Annotated[
        float | None,
        typer.Option(
            "--sigma",
            metavar="PIXELS",
            min=0.5,
            max=1000,
            help="How far directions are averaged. Default: a 32nd of the shorter side.",
            show_default=False,
        ),
    ] = None,
    histogram: Annotated[
        bool, typer.Option("--histogram", help="Use the paper's histogram of gradients in cells of 16 pixels.")
    ] = False,
    strokes: Strokes = None,
    force: Force = False,
    max_memory: Memory = "6G",
) -> None:
    """The directions of the stripes, hairs or grain in a picture."""
    from texsynth.guidance import orientation as extract

    if histogram and sigma is not None:
        raise UsageError("--sigma and --histogram exclude each other; the histogram has cells of a fixed size")
    picture = _read(image, max_memory)
    _check(output, _extent(picture), force, image, strokes, array=True)
    field, coherence = extract.structure(picture, sigma)
    messages.note(f"mean coherence {float(coherence.mean()):.2f} (0: no direction, 1: straight stripes)")
    _write_field(extract.histogram(picture) if histogram else field, output, force, strokes, picture)


@app.command(epilog="Example: texsynth guide progression samples/rust.png -o rust_map.png")
def progression(
    image: Image, output: Output, invert: Invert = False, force: Force = False, max_memory: Memory = "6G"
) -> None:
    """How far along its main change of appearance each part of a picture is; brighter parts are white."""
    from texsynth.guidance import progression as extract

    picture = _read(image, max_memory)
    _check(output, _extent(picture), force, image)
    estimated, line = extract.estimate(picture)
    messages.note(line)
    _write_map(estimated, output, force, invert)


def _begun(output: Path, size: str, force: bool, tile: str = "none") -> tuple[Any, tuple[int, int], tuple[bool, bool]]:
    """The formulas, and the size and the tiling of a map that can be written; raises UsageError."""
    from texsynth.guidance import procedural
    from texsynth.verbs import parse

    extent = _size(size)
    _check(output, extent, force)
    return procedural, extent, parse.tile(tile)


def _size(text: str) -> tuple[int, int]:
    from texsynth.image import codecs
    from texsynth.verbs import parse

    if text.strip().lower().endswith(("x", "%")):
        raise UsageError(f"--size {text!r}: there is no picture here to multiply; write WxH, or N for a square")
    height, width = parse.size(text, (1, 1))
    if height * width > codecs.MAX_PIXELS:
        raise UsageError(f"--size {text} makes {width}x{height}; at most {codecs.MAX_PIXELS} pixels are allowed")
    return height, width


def _period(given: float | None, size: tuple[int, int], parts: int) -> float:
    return max(2.0, min(size) / parts) if given is None else given


def _centre(text: str) -> tuple[float, float]:
    """ "X,Y" as two shares; what lies outside the map is allowed, what is no number is not."""
    with suppress(ValueError):
        x, y = (float(part) for part in text.split(","))
        if abs(x) <= 100 and abs(y) <= 100:
            return x, y
    raise UsageError(f"--centre {text!r} is not X,Y in shares of the width and the height, for example 0.5,0.5")


def _read(path: Path, memory: str) -> Tensor:
    from texsynth.cli import pipes
    from texsynth.image import load as inputs
    from texsynth.image import picture as image
    from texsynth.verbs import parse, synthesize

    limit = parse.left(parse.memory(memory))
    path = pipes.standard_input(limit) if str(path) == STANDARD else path
    picture, _ = inputs.load(path, "image", limit)
    image.check_exemplar_size(picture, path.name)
    parse.room((picture.height, picture.width), synthesize.COMPARED, limit, path.name)
    return inputs.matching((picture,))[0]


def _extent(picture: Tensor) -> tuple[int, int]:
    return picture.shape[2], picture.shape[3]


def _check(
    output: Path,
    size: tuple[int, int],
    force: bool,
    source: Path | None = None,
    strokes: Path | None = None,
    array: bool = False,
) -> None:
    """Refuse, before anything is drawn, what cannot be written or must not be overwritten; UsageError."""
    from texsynth.cli import existing, pipes
    from texsynth.image import files
    from texsynth.image import picture as image

    if str(output) == STANDARD:
        if strokes is not None:
            raise UsageError("-o -: standard output holds the map alone; leave --strokes out, or name a file")
        pipes.check_no_terminal()
    elif array and output.suffix.lower() == ".npy":
        existing.check_page("--output", output)
    else:
        image.check_writable(output, size)
    if strokes is not None:
        image.check_writable(strokes, size)
        if files.identity(strokes) == files.identity(output):
            raise UsageError(f"{strokes} is named by --output and --strokes; give two names")
    written = [path for path in (output, strokes) if path is not None and str(path) != STANDARD]
    existing.refuse(written, set() if source is None else {files.identity(source)}, force)
    files.sweep(path.parent for path in written)


def _write_map(values: Tensor, out: Path, force: bool, invert: bool, hard: bool = False) -> None:
    from texsynth.guidance import progression as tools

    values = (values > 0.5).to(values) if hard else values
    _write(out, force, {out: tools.reverse(values) if invert else values})


def _write_field(
    field: Tensor, out: Path, force: bool, strokes: Path | None = None, under: Tensor | None = None
) -> None:
    """A field (1, 2, H, W) as .npy (2, H, W) float32 or as a picture, and its strokes."""
    from texsynth.guidance import orientation as tools

    drawn = field if out.suffix.lower() == ".npy" else tools.encode(field)
    strokes_of = {} if strokes is None else {strokes: tools.strokes(field, _extent(field), under)}
    _write(out, force, {out: drawn, **strokes_of})


def _write(main: Path, force: bool, values: Mapping[Path, Tensor]) -> None:
    """Write maps, the first of them `main` in 16 bits or as numbers, others in 8, and print their names."""
    import numpy as np

    from texsynth.cli import pipes
    from texsynth.image import files
    from texsynth.image import picture as image

    if str(main) == STANDARD:
        pipes.write_map(image.Picture(values[main], depth="uint16"))
        return
    notices = []
    with files.together(main, None if force else ()) as put:
        for path, shown in values.items():
            if path.suffix.lower() == ".npy":
                content = io.BytesIO()
                np.save(content, shown[0].numpy())
                put(path, content.getvalue())
            else:
                drawn = image.Picture(shown, depth="uint16" if path == main else "uint8")
                notices += image.write(path, drawn, put=put)
    for notice in notices:
        messages.note(notice)
    for path in values:
        print(path)
