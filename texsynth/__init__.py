"""texsynth: example-based texture synthesis. The Python API speaks the same words as the command line.

    from texsynth import barycenter, control, edit, evaluate, inpaint, propagate, synthesize, train
    wall = synthesize("brick.png", "512x512", seed=3)
    nest = control("grass.png", "512x512", orientation="circle")
    tile = inpaint("gravel.jpg", make_tileable="xy")
    wide = edit("pebbles.png", retarget="512x256")
    half = barycenter(["grass.png", "pebbles.png"], 128)
    good = evaluate("brick.png", "wall.png").mean["sliced"]
    also = propagate("brick.png", "graffiti.png", "wall.png").image
    done = train("texture-net", "brick.png", "brick.safetensors")
    more = synthesize("brick.png", 4096, model="brick.safetensors")

Nothing heavy is imported before the first call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from texsynth.api import barycenter, control, edit, evaluate, inpaint, propagate, synthesize, train

__version__: str
__all__ = ["__version__", "barycenter", "control", "edit", "evaluate", "inpaint", "propagate", "synthesize", "train"]


if not TYPE_CHECKING:  # for the type checker any name would exist otherwise

    def __getattr__(name: str) -> str:
        if name == "__version__":  # written once, in pyproject.toml
            from importlib.metadata import version

            return version("texsynth")
        raise AttributeError(f"module 'texsynth' has no attribute {name!r}")
