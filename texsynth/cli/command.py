"""How a request becomes a command: Typer reads a signature, and this one is made out of the request's options."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from types import ModuleType
from typing import Annotated, Any

import typer

from texsynth.requests.option import ARGUMENT, Option, options, parsed
from texsynth.runs import stop
from texsynth.settings import summary

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


def group(text: str) -> typer.Typer:
    """A command that has commands of its own; without one it prints its help."""
    app = typer.Typer(help=text, invoke_without_command=True)

    @app.callback()
    def options(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            print(context.get_help())

    return app


def command(verb: str, module: ModuleType, execute: Callable[[Any], int] | None = None) -> Callable[..., int]:
    """The function that Typer calls for a verb, whose request `module` declares. execute: what runs it to its exit
    code, where it is not the runner of verbs that write files."""
    shown = [o for o in options(module.Request) if o.flags]

    def run(**values: Any) -> int:
        request = parsed(module.Request, values)
        return _executed(verb, request) if execute is None else execute(request)

    parameters = [_parameter(o) for o in shown]
    run.__name__ = verb.replace(" ", "_")
    run.__doc__ = summary(module.Request)
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


def _executed(verb: str, request: Any) -> int:
    """Run a verb to its exit code; one that is stopped before work starts is told as JSON too."""
    try:
        from texsynth.cli import runner  # brings torch, which --help and completion do without

        if stop.asked():  # and got lost while that was imported
            raise KeyboardInterrupt
        return runner.execute(verb, request)
    except KeyboardInterrupt:
        if request.json:
            print(json.dumps({"verb": verb, "runs": [], "failed": [], "left_out": [], "interrupted": True}, indent=2))
        raise


def _parameter(o: Option) -> inspect.Parameter:
    default, kind = o.default, inspect.Parameter.KEYWORD_ONLY
    shared: dict[str, Any] = {"help": o.help, "metavar": o.metavar, "show_default": False}
    shared["autocompletion"] = _completion(o)
    if o.flags == (ARGUMENT,):
        default = inspect.Parameter.empty if default is not None else None  # without a default it is required
        typed: Any = Annotated[(o.text, typer.Argument(**shared))]
    else:
        typed = Annotated[(o.text, typer.Option(*o.flags, rich_help_panel=o.panel, min=o.low, max=o.high, **shared))]
    return inspect.Parameter(o.name, kind, default=default, annotation=typed)


def _completion(o: Option) -> Callable[[str], list[str]] | None:
    words = o.complete
    if callable(words):
        return words
    return (lambda incomplete: [word for word in words if word.startswith(incomplete)]) if words else None
