"""The command line: its verbs, and the one place where a failure becomes a line and an exit code."""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from texsynth.cli import doctor, failure, guide, presets, weights
from texsynth.cli.command import command
from texsynth.requests import barycenter, control, edit, evaluate, inpaint, propagate, synthesize, train

VERBS = (synthesize, control, inpaint, barycenter, edit, propagate, train, evaluate)

app = typer.Typer(
    name="texsynth",
    help="Turn a picture of a material into more of it.",
    epilog="Start with: texsynth synthesize samples/brick.png -o wall.png",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (without the program's name) and give its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    # Before torch loads: threads that spin while they wait stall each other when the cores are shared (two runs side
    # by side took over twenty times as long), and lose nothing by sleeping when they are not.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    if isinstance(sys.stdout, io.TextIOWrapper):  # a path is printed byte for byte, whatever its encoding
        sys.stdout.reconfigure(errors="surrogateescape")
    try:
        # SIGTERM unwinds like an exception, so that half-written files are cleared away on the way out.
        with failure.handling(signal.SIGTERM, _leave):
            return int(app(words or ["--help"], prog_name="texsynth", standalone_mode=False) or 0)
    except KeyboardInterrupt:
        error: Exception = failure.InterruptError(failure.NOTHING)
    except Exception as caught:
        error = caught
    if "--debug" in words:
        traceback.print_exception(error)
    text, code = failure.explain(error)
    print(f"texsynth: {text}", file=sys.stderr)
    return code


def _leave(*_: object) -> None:
    raise SystemExit(143)
