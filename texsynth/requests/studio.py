"""What `texsynth studio` may be asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from texsynth.requests.option import argument, option
from texsynth.requests.shared import MemoryOptions

EXAMPLES = """
texsynth studio samples/rust.png
texsynth studio samples/cobble --port 8123 --no-browser
"""


@dataclass(frozen=True, kw_only=True)
class Request(MemoryOptions):
    """Paint guides and masks in a page of the browser, and see the texture follow; nothing leaves this machine.

    exemplar: A picture to begin with, or the folder of a material. Pictures of the folder that this is started in can
        be opened on the page, and others dropped there.
    port: The port of the page, which must be free. Default: 8317, or the next that is.
    no_browser: Open no browser; the address is on standard output.
    """

    PANEL = "Page"

    exemplar: Path | None = argument(metavar="EXEMPLAR|SET")
    port: int | None = option(None, metavar="N", low=1, high=65535)
    no_browser: bool = option(False)
    debug: bool = option(False, help="Show a traceback with an error.", panel="Messages")
