"""texsynth: example-based texture synthesis. The Python API speaks the same words as the command line.

    from texsynth import barycenter, capture, control, edit, evaluate, inpaint, propagate, synthesize, train
    wall = synthesize("brick.png", "512x512", seed=3)
    nest = control("grass.png", "512x512", orientation="circle")
    tile = inpaint("gravel.jpg", make_tileable="xy")
    wide = edit("pebbles.png", retarget="512x256")
    half = barycenter(["grass.png", "pebbles.png"], 128)
    good = evaluate("brick.png", "wall.png").mean["sliced"]
    also = propagate("brick.png", "graffiti.png", "wall.png").image
    flat = capture("photo.jpg", quad="210,80,1890,140,1820,1310,160,1240").image
    done = train("texture-net", "brick.png", "brick.safetensors")
    more = synthesize("brick.png", 4096, model="brick.safetensors")

Nothing heavy is imported before the first call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from texsynth.runs import threads

__all__ = [
    "__version__",
    "barycenter",
    "capture",
    "control",
    "edit",
    "evaluate",
    "inpaint",
    "maps_height",
    "maps_normal",
    "maps_occlusion",
    "propagate",
    "synthesize",
    "tiles_blend",
    "tiles_blob",
    "tiles_corner",
    "tiles_wang",
    "train",
]

threads.guard()  # before torch loads

if TYPE_CHECKING:
    from texsynth.api import (
        barycenter,
        capture,
        control,
        edit,
        evaluate,
        inpaint,
        maps_height,
        maps_normal,
        maps_occlusion,
        propagate,
        synthesize,
        train,
    )
    from texsynth.api.tiles import tiles_blend, tiles_blob, tiles_corner, tiles_wang

    __version__: str
else:

    def __getattr__(name: str) -> Any:
        """The version, and the verbs: the command line starts faster without what documents them."""
        if name == "__version__":  # written once, in pyproject.toml
            from importlib.metadata import version

            return version("texsynth")
        if name in __all__:
            from texsynth import api
            from texsynth.api import tiles

            return getattr(tiles if name.startswith("tiles_") else api, name)
        raise AttributeError(f"module 'texsynth' has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
