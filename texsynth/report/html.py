"""A run as one HTML page that needs nothing else: pictures, the course of the loss, settings, versions."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.nn import functional as F

from texsynth.field import pictures
from texsynth.field.atlas import Field, coordinates
from texsynth.image import codecs, files, seen
from texsynth.image import picture as image
from texsynth.image.files import Put
from texsynth.image.picture import Picture
from texsynth.image.strips import Strips
from texsynth.image.strips import reduced as reduced_strips
from texsynth.material import roles
from texsynth.report import chart, guides, view

if TYPE_CHECKING:
    from texsynth.job import Job
    from texsynth.runs.run import Result

LONGEST_PICTURE = 1024  # pixels; larger pictures are embedded reduced, so that the page stays a few megabytes
LARGEST_WHOLE = 2048**2  # pixels of a picture that is reduced at once
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"  # no network
STYLE = (Path(__file__).parent / "page.css").read_text("utf-8")


def write(path: str | Path, result: Result, job: Job, put: Put = files.write) -> None:
    """Write the page of one result, whole or not at all; raises ResourceError and UsageError."""
    put(Path(path), page(result, job))


def page(result: Result, job: Job) -> str:
    """The whole document."""
    title = f"{job.verb}: {', '.join(exemplar.name for exemplar in job.task.exemplars)}"
    size = f"{result.picture.width} x {result.picture.height} pixels in {result.seconds:.1f} s."
    state = " Interrupted: this is the picture so far." if result.interrupted else ""
    parts = [
        f"<header><h1>{html.escape(title)}</h1><p>{size}{state}</p></header>",
        section("Material", material(result, job)) if view.by_role(result.layers) else "",
        section("Pictures", "".join(figures(result, job))),
        section("Where it comes from", "".join(field_figures(result.field))) if isinstance(result.field, Field) else "",
        section("Loss", chart.curve(result.losses)) if result.losses else "",
        section("Notes", listing(job.notices)) if job.notices else "",
        section("Run", "".join(tables(result.record))),
    ]
    return document(title, "".join(parts))


def document(title: str, body: str, style: str = STYLE) -> str:
    """A page, by default with the style of all pages."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<title>{html.escape(title)}</title><style>{style}</style></head>\n<body>{body}</body></html>\n"
    )


def figures(result: Result, job: Job) -> Iterator[str]:
    """Exemplars, the guides, the result, its repetition where it tiles, and every map."""
    for exemplar, picture in zip(job.task.exemplars, job.image.pictures, strict=True):
        yield figure(picture, f"Exemplar: {exemplar.name}")
    for name, drawn in guides.drawings(job, None).items():
        yield figure(drawn, f"Guide: {name.replace('_', ' ')}")
    shown = {name: role for role, name in view.by_role(result.layers).items()}
    yield figure(result.picture, "Result", view.attributes(roles.BASE_COLOUR) if shown else "")
    if any(job.task.tile):
        once = manageable(result.picture)
        yield figure(repeated(once, job.task.tile), "Result repeated: look for seams in the middle")
    for name, layer in result.layers.items():
        attributes = view.attributes(shown[name], _is_down(job, name)) if name in shown else ""
        role = roles.role_of(name)
        yield figure(layer, f"Map: {name}", attributes, role is not None and role.is_colour)


def material(result: Result, job: Job) -> str:
    """The result and its maps under a moving light."""
    return view.figure(lit(result, job), all(job.task.tile))


def lit(result: Result, job: Job) -> dict[str, view.Shown]:
    """The maps of the result that are shown under light, by role."""
    return {
        role: view.Shown(reduced(within(manageable(result.layers[name]).pixels)), _is_down(job, name))
        for role, name in view.by_role(result.layers).items()
    }


def _is_down(job: Job, name: str) -> bool:
    return job.maps[name].role == "normal_dx"


def field_figures(field: Field) -> Iterator[str]:
    """The field as pictures, with what their colours mean."""
    yield figure(Picture(pictures.coordinate_picture(field)), "Source of each pixel: red is x, green is y")
    if len(field.copies) * (int(coordinates(field).exemplar.max()) + 1) > 1:
        yield figure(Picture(pictures.plane_picture(field)), f"Exemplar and copy ({', '.join(field.copies)})")
    yield figure(Picture(pictures.cost_picture(field)), "Misfit of the surroundings: pale is the worst percent")


def repeated(picture: Picture, tile: tuple[bool, bool]) -> Picture:
    """The picture twice in each direction (y, x) in which it wraps."""
    times = (1, 1, 1 + tile[0], 1 + tile[1])
    alpha = None if picture.alpha is None else picture.alpha.repeat(times)
    return replace(picture, pixels=picture.pixels.repeat(times), alpha=alpha)


def figure(picture: Picture | Strips, caption: str, attributes: str = "", is_colour: bool = True) -> str:
    """A picture with its size, its name, and further attributes of its element."""
    note = "" if max(picture.height, picture.width) <= LONGEST_PICTURE else ", shown reduced"
    size = f" <small>{picture.width} x {picture.height}{note}</small>"
    return embedded(png(manageable(picture), is_colour), caption, size, attributes)


def manageable(picture: Picture | Strips) -> Picture:
    """A picture, halved or more where it is larger than what is solved whole."""
    large = picture.height * picture.width > LARGEST_WHOLE
    return reduced_strips(picture, 2 * LONGEST_PICTURE) if large or isinstance(picture, Strips) else picture


def embedded(data: bytes, caption: str, after: str = "", attributes: str = "") -> str:
    """The figure of a PNG; `after` is markup that follows the caption, and `attributes` are those of the picture."""
    source, text = f"data:image/png;base64,{base64.b64encode(data).decode()}", html.escape(caption)
    return f'<figure><img src="{source}" alt="{text}"{attributes}><figcaption>{text}{after}</figcaption></figure>'


def png(picture: Picture, is_colour: bool = True, side: int = LONGEST_PICTURE) -> bytes:
    """An 8-bit PNG whose longer side is at most `side`; float values beyond [0, 1] are brought into it by their range.
    Colours that are linear light are shown as sRGB."""
    alpha = None if picture.alpha is None else reduced(picture.alpha, side)
    pixels = within(picture.pixels)
    if is_colour and seen.is_linear(picture):
        pixels = seen.Range(is_linear=True).seen(pixels)
    small = Picture(reduced(pixels.expand(-1, 3, -1, -1), side), alpha)
    return codecs.encode(codecs.PNG, image.to_array(small), None, {})


def within(pixels: Tensor) -> Tensor:
    """Values in [0, 1]: as they are, or over their whole range where some are beyond it."""
    if pixels.min() >= 0 and pixels.max() <= 1:
        return pixels
    return (pixels - pixels.min()) / (pixels.max() - pixels.min())


def reduced(values: Tensor, side: int = LONGEST_PICTURE) -> Tensor:
    """(1, C, H, W) with its longer side at most `side`."""
    longest = max(values.shape[2:])
    if longest <= side:
        return values
    size = [max(1, round(n * side / longest)) for n in values.shape[2:]]
    return F.interpolate(values, size, mode="bilinear", antialias=True)


def section(title: str, body: str) -> str:
    return f'<section><h2>{title}</h2><div class="body">{body}</div></section>'


def listing(lines: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{html.escape(line)}</li>" for line in lines) + "</ul>"


def tables(record: Mapping[str, Any]) -> Iterator[str]:
    """The record: plain values in a first table, then one table for each group."""
    plain = {key: value for key, value in record.items() if not isinstance(value, Mapping)}
    for name, group in {"": plain, **{k: v for k, v in record.items() if k not in plain}}.items():
        if group:
            yield table(name, group)


def table(caption: str, values: Mapping[str, Any]) -> str:
    rows = "".join(f"<tr><th>{html.escape(str(key))}</th><td>{cell(value)}</td></tr>" for key, value in values.items())
    head = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    return f"<table>{head}{rows}</table>"


def cell(value: Any) -> str:
    """One value of the record; lists of groups become tables of their own."""
    if isinstance(value, Mapping):
        return table("", value)
    if isinstance(value, list | tuple):
        if any(isinstance(item, Mapping) for item in value):
            return "".join(cell(item) for item in value)
        return html.escape(", ".join(str(item) for item in value)) or "none"
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return html.escape(str(value))
