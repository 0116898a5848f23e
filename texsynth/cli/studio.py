"""`texsynth studio`: the page of this machine, as a command."""

from __future__ import annotations

from typing import Any

from texsynth.errors import ExtraError
from texsynth.requests import option


def serve(request: Any) -> int:
    """Answer the page until Ctrl-C; raises TexsynthErrors."""
    option.check(request)
    try:
        from texsynth.studio import serving
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn"):
            raise
        raise ExtraError("texsynth studio needs starlette and uvicorn; pip install 'texsynth[studio]'") from None
    return serving.serve(request)
