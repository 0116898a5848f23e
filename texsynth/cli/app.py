"""The command line: its verbs, and what there is beside them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import Annotated, Any

import typer

from texsynth.cli import limits
from texsynth.cli.command import command, group

VERBS = ("synthesize", "control", "inpaint", "barycenter", "edit", "propagate", "capture", "train", "evaluate")
GROUPS = {  # what has commands of its own: its help, and their names
    "maps": (
        "Make, pack and unpack the maps of a material.",
        ("pack", "unpack", "normal", "height", "occlusion", "stereo"),
    ),
    "tiles": (
        "Make tiles for engines, which draw a plane without visible repeats.",
        ("corner", "wang", "blob", "blend"),
    ),
}
PAGE = "studio"  # which writes no output, but answers a page
LOADING = {*VERBS, *GROUPS, PAGE, "guide", "doctor"}  # what brings torch
HELP = {"-h", "--help"}


def application(verb: str | None = None) -> typer.Typer:
    """The command line, for a known verb with the command of that verb alone: to declare all takes longer than some
    commands."""
    app = typer.Typer(
        name="texsynth",
        help="Turn a picture of a material into more of it.",
        epilog="Start with: texsynth synthesize samples/brick.png -o wall.png",
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": sorted(HELP)},
    )
    app.callback()(options)
    for name in VERBS if verb is None else {verb} & set(VERBS):
        _declare(app, name)
    for name, (text, words) in GROUPS.items():
        if verb in (None, name):
            inner = group(text)
            for word in words:
                _declare(inner, f"{name} {word}")
            app.add_typer(inner, name=name)
    if verb in (None, PAGE):
        from texsynth.cli import studio

        _declare(app, PAGE, studio.serve)
    if verb is None:
        from texsynth.cli import doctor, guide, presets, weights

        app.add_typer(guide.app, name="guide")
        app.add_typer(presets.app, name="presets")
        app.add_typer(weights.app, name="weights")
        app.command()(doctor.doctor)
    return app


def _declare(app: typer.Typer, name: str, execute: Callable[[Any], int] | None = None) -> None:
    """Add the command of a verb; "maps normal" is the command `normal`, of the group `maps`. execute: see `command`."""
    module = importlib.import_module(f"texsynth.requests.{name.replace(' ', '.')}")
    examples = "\n\n".join(["Examples:", *module.EXAMPLES.strip().splitlines()])
    app.command(name.rpartition(" ")[2], epilog=examples)(command(name, module, execute))


def _version(asked: bool) -> None:
    if asked:
        import texsynth

        print(f"texsynth {texsynth.__version__}")
        raise typer.Exit


def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Turn a picture of a material into more of it."""


def run(words: Sequence[str]) -> int:
    """Run a command line (without the program's name) and give its exit code; raises whatever ends it."""
    first = words[0] if words else None
    if first in LOADING and not HELP & set(words):
        limits.check()
    parser = _commands(first if first in (*VERBS, *GROUPS, PAGE) else None)
    return int(parser(list(words) or ["--help"], prog_name="texsynth", standalone_mode=False) or 0)


@cache
def _commands(verb: str | None) -> Any:
    """The parser. Typer would make it out of all signatures at every call."""
    return typer.main.get_command(application(verb))
