"""The command line: its verbs, and what there is beside them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any

import typer

from texsynth.cli import doctor, guide, limits, presets, weights
from texsynth.cli.command import command
from texsynth.requests import barycenter, control, edit, evaluate, inpaint, propagate, synthesize, train

VERBS = (synthesize, control, inpaint, barycenter, edit, propagate, train, evaluate)

LOADING = {*(module.__name__.rpartition(".")[2] for module in VERBS), "guide", "doctor"}  # what brings torch
HELP = {"-h", "--help"}

app = typer.Typer(
    name="texsynth",
    help="Turn a picture of a material into more of it.",
    epilog="Start with: texsynth synthesize samples/brick.png -o wall.png",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": sorted(HELP)},
)
for module in VERBS:
    examples = "\n\n".join(["Examples:", *module.EXAMPLES.strip().splitlines()])
    app.command(epilog=examples)(command(module.__name__.rpartition(".")[2], module))
app.add_typer(guide.app, name="guide")
app.add_typer(presets.app, name="presets")
app.add_typer(weights.app, name="weights")
app.command()(doctor.doctor)


def _version(asked: bool) -> None:
    if asked:
        import texsynth

        print(f"texsynth {texsynth.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Turn a picture of a material into more of it."""


def run(words: Sequence[str]) -> int:
    """Run a command line (without the program's name) and give its exit code; raises whatever ends it."""
    if words and words[0] in LOADING and not HELP & set(words):
        limits.check()
    return int(_commands()(list(words) or ["--help"], prog_name="texsynth", standalone_mode=False) or 0)


@cache
def _commands() -> Any:
    """The parser. Typer would make it out of all signatures at every call, which takes longer than some commands."""
    return typer.main.get_command(app)
