"""What the pages on tiles and on blending share: a plane without end beside one that repeats, in a window of its own.

A page needs nothing but itself: its script, its shader and its pictures are inside, and nothing is loaded.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch.nn import functional as F

from texsynth.image import codecs, seen
from texsynth.image import picture as image
from texsynth.image.picture import Picture
from texsynth.report.html import STYLE, document, within

HERE = Path(__file__).parent
STAGE, SHEET = (HERE / "plane.js").read_text("utf-8"), (HERE / "plane.css").read_text("utf-8")
LARGEST_EXACT = 5 << 20  # bytes of the samples of a picture that is embedded bit for bit
LARGEST_PAGE = 20 << 20  # bytes of the pictures of a page, about
PER_PIXEL = 1.2  # bytes of a JPEG, at most, for textures
HELP = (
    "Drag to move, wheel or pinch to zoom. "
    '<span class="keys">Keys: arrows move, + and - zoom, 0 shows pixels as they are, Home goes back, N takes a new '
    "seed, B shows borders.</span>"
)


@dataclass(frozen=True)
class Shell:
    """What a page says round its plane.

    title, said: the heading, and a line below it.
    random, plain: the names of the two parts.
    views: what can be shown, value and text; "lit" is the material under a lamp.
    seed: the first one.
    borders: can borders be shown, and what they are called; "" for not.
    """

    title: str
    said: str
    random: str
    plain: str
    views: Sequence[tuple[str, str]]
    seed: int
    borders: str = ""


def page(shell: Shell, content: Mapping[str, Any], script: str) -> str:
    """The whole document. content: what the script reads, JSON-able. script: it calls `show` of plane.js."""
    data = json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")  # neither an end nor a comment in a name
    title = html.escape(shell.title)
    body = (
        f"<header><h1>{title}</h1><p>{html.escape(shell.said)}</p></header>"
        '<main id="plane" data-parts="both">'
        '<p class="missing">Here the plane is shown, in browsers with WebGL 2 and scripts.</p>'
        '<div class="stage"><canvas tabindex="0" role="application" aria-describedby="help" '
        f'aria-label="{title}. Arrow keys move, plus and minus zoom"></canvas>'
        f'<span class="name random">{html.escape(shell.random)}</span>'
        f'<span class="name plain">{html.escape(shell.plain)}</span></div>'
        f'<form autocomplete="off" aria-label="What is shown">{_controls(shell)}</form>'
        f'<p class="help" id="help">{HELP}</p>'
        '<p class="spoken" aria-live="polite"></p></main>'
        f'<script type="application/json" id="set">{data}</script>'
        f"<script>{STAGE}</script><script>{script}</script>"
    )
    return document(shell.title, body, STYLE + SHEET)


def _controls(shell: Shell) -> str:
    views = "".join(f'<option value="{html.escape(value)}">{html.escape(text)}</option>' for value, text in shell.views)
    hidden = " hidden" if len(shell.views) < 2 else ""
    borders = f'<label><input type="checkbox" name="borders"> {shell.borders}</label>' if shell.borders else ""
    return (
        f'<label{hidden}>show <select name="map">{views}</select></label>'
        '<label hidden>light from <input type="range" name="lamp" min="0" max="360" step="5" value="135"></label>'
        '<label>compare <select name="parts"><option value="both">both</option>'
        f'<option value="random">{html.escape(shell.random)}</option>'
        f'<option value="plain">{html.escape(shell.plain)}</option></select></label>'
        '<fieldset aria-label="Seed"><button type="button" name="new" class="main">New seed</button>'
        f'<input type="number" name="seed" step="1" value="{shell.seed}" aria-label="Seed"></fieldset>'
        '<fieldset aria-label="Zoom"><button type="button" name="out" aria-label="Zoom out">&minus;</button>'
        '<output name="zoom">100 %</output><button type="button" name="in" aria-label="Zoom in">+</button>'
        f'<button type="button" name="whole" aria-label="Zoom to 100 percent">1:1</button></fieldset>{borders}'
    )


@dataclass(frozen=True)
class Embedded:
    """A picture in a page. note: what of it is not as in its file, or ""."""

    source: str
    note: str = ""


def embedded(picture: Picture, is_colour: bool, cell: tuple[int, int] = (1, 1), share: int = 1) -> Embedded:
    """A picture of 8 bits as data, bit for bit where it is small, and else as a JPEG, or reduced beside.

    is_colour: Are these colours? Linear ones are shown as sRGB. cell: its (height, width) are multiples of this, and
    stay so. share: the pictures of the page.
    """
    pixels = within(picture.pixels)
    if is_colour and seen.is_linear(picture):
        pixels = seen.Range(is_linear=True).seen(pixels)
    small = Picture(pixels, picture.alpha)
    samples = picture.height * picture.width * (picture.channels + (picture.alpha is not None))
    if samples <= LARGEST_EXACT or picture.alpha is not None:
        return Embedded(_data(small, codecs.PNG))
    factor = 1
    while picture.height * picture.width * PER_PIXEL / factor**2 > LARGEST_PAGE / share and factor < 16:
        factor *= 2
    if factor > 1 and all(side % factor == 0 for side in cell):
        small = replace(small, pixels=F.avg_pool2d(small.pixels, factor))
        return Embedded(_data(small, codecs.JPEG), f"at 1/{factor} of the size and with slight losses")
    return Embedded(_data(small, codecs.JPEG), "with slight losses")


def _data(picture: Picture, form: codecs.Format) -> str:
    data = codecs.encode(form, np.atleast_3d(image.to_array(picture)), None, {})
    return f"data:image/{form.name.lower()};base64,{base64.b64encode(data).decode()}"
