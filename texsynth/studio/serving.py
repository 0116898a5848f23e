"""The page is served until Ctrl-C ends it."""

from __future__ import annotations

from typing import Any


def serve(request: Any) -> int:
    """Answer the page until Ctrl-C; gives the exit code. Raises UsageError for a port that is taken."""
    raise NotImplementedError(request)
