"""How a request becomes a command: Typer reads a signature, and this one is made out of the request's options."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Annotated, Any

import typer

from texsynth.requests.option import ARGUMENT, Option, made, options
from texsynth.settings import summary


def command(verb: str, module: ModuleType) -> Callable[..., int]:
    """The function that Typer calls for a verb, whose request `module` declares."""
    kind = module.Request

    def run(**values: Any) -> int:
        from texsynth.cli import runner  # brings torch, which --help and completion do without

        parsed = {o.name: _parsed(o, values[o.name]) for o in options(kind) if o.flags}
        return runner.execute(verb, made(kind, parsed))

    parameters = [_parameter(o) for o in options(kind) if o.flags]
    run.__name__ = verb
    run.__doc__ = summary(kind)
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


def _parsed(o: Option, value: Any) -> Any:
    return value if value is None or o.parse is None else o.parse(value)


def _parameter(o: Option) -> inspect.Parameter:
    default = inspect.Parameter.empty if _required(o) else o.default
    told = _positional(o) if o.flags == (ARGUMENT,) else _named(o)
    annotation: Any = Annotated[(o.text, told)]
    return inspect.Parameter(o.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _required(o: Option) -> bool:
    return o.flags == (ARGUMENT,) and o.default is not None


def _positional(o: Option) -> Any:
    return typer.Argument(metavar=o.metavar, help=o.help, show_default=False, autocompletion=_completion(o))


def _named(o: Option) -> Any:
    return typer.Option(
        *o.flags,
        help=o.help,
        metavar=o.metavar,
        rich_help_panel=o.panel,
        show_default=False,
        autocompletion=_completion(o),
        min=o.low,
    )


def _completion(o: Option) -> Callable[[str], list[str]] | None:
    """Completion in the shell from a list of words, or by the option's own function."""
    words = o.complete
    if callable(words):
        return words
    return (lambda incomplete: [word for word in words if word.startswith(incomplete)]) if words else None
