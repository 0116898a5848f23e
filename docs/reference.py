"""Write the pages of docs/reference/ from the command line, the presets, the registries and the Python functions.

python docs/reference.py            writes the pages
python docs/reference.py --check    only says which pages differ from what it would write; the exit code is then 1
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import typer

import texsynth
from texsynth import preset, registry, settings
from texsynth.cli.app import application
from texsynth.training import preset as training

FOLDER = Path(__file__).parent / "reference"
NOTE = "<!-- Written by docs/reference.py: change the code and run `make docs-reference`. -->"


def page(title: str, *parts: str) -> str:
    """A page of paragraphs, with one blank line between them."""
    return "\n\n".join([f"# {title}", NOTE, *(part for part in parts if part)]) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; every cell becomes one line."""
    lines = [" ".join(f"| {_cell(text)}" for text in row) + " |" for row in rows]
    return "\n".join([f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *lines])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _value(value: Any) -> str:
    """A setting's value as YAML writes it."""
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(_value, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


# Commands

ADDED_BY_TYPER = ("install_completion", "show_completion")  # their help depends on typer's version


def cli() -> str:
    """Every command with its arguments and options."""
    parts = []
    for name, command in _commands(typer.main.get_command(application()), "texsynth"):
        parts += [f"## {name}", _prose(command.help or ""), f"```text\n{_usage(name, command)}\n```"]
        parts += [_parameters(panel, group) for panel, group in _panels(command)]
        if command.epilog:
            heading, _, lines = command.epilog.partition(":")
            examples = "\n".join(line.strip() for line in lines.splitlines() if line.strip())
            parts.append(f"{heading}:\n\n```text\n{examples}\n```")
    return page("Commands", "Every command also answers to `--help`.", *parts)


def _commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """A command and those below it, by their full names."""
    yield name, command
    for word, inner in getattr(command, "commands", {}).items():
        yield from _commands(inner, f"{name} {word}")


def _usage(name: str, command: Any) -> str:
    words = [_metavar(p) + ("..." if p.nargs == -1 else "") for p in command.params if _is_argument(p)]
    return " ".join([name, *words, "COMMAND" if getattr(command, "commands", {}) else "[OPTIONS]"])


def _panels(command: Any) -> list[tuple[str, list[Any]]]:
    """The parameters of a command in the groups of its help, in their order."""
    groups: dict[str, list[Any]] = {}
    for parameter in command.params:
        if not getattr(parameter, "hidden", False) and parameter.name not in ADDED_BY_TYPER:
            panel = "Arguments" if _is_argument(parameter) else parameter.rich_help_panel or "Options"
            groups.setdefault(panel, []).append(parameter)
    return list(groups.items())


def _parameters(panel: str, parameters: list[Any]) -> str:
    """The table of one panel."""
    rows = []
    for parameter in parameters:
        flags = [] if _is_argument(parameter) else sorted(parameter.opts, key=len, reverse=True)
        flags += parameter.secondary_opts
        value = "" if getattr(parameter, "is_flag", False) else _metavar(parameter)
        names = ", ".join(map(_code, flags)) or _code(value)
        rows.append((names, _code(value) if flags else "", _prose(_help(parameter))))
    return f"**{panel}**\n\n" + table(("name", "value", "meaning"), rows)


def _help(parameter: Any) -> str:
    text = getattr(parameter, "help", None) or ""
    default = parameter.default
    if getattr(parameter, "show_default", False) is True and type(default) in (str, int, float) and default != "":
        text += f" Default: {default}."
    return text


def _metavar(parameter: Any) -> str:
    """The word for a value in the help; a plain name where none was chosen, as typer has it."""
    return str(parameter.metavar or parameter.name.upper()).strip("[]")


def _is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def _prose(text: str) -> str:
    """A docstring or help text as Markdown; what would start HTML or emphasis outside code stays a character."""
    parts = inspect.cleandoc(text).split("`")
    parts[::2] = [part.replace("<", "&lt;").replace("*", "\\*") for part in parts[::2]]
    return "`".join(parts)


def _documented(value: Any) -> str:
    """A docstring as Markdown, its lines of the form "name: meaning" as lists."""
    paragraphs = _prose(inspect.getdoc(value) or "").split("\n\n")
    return "\n\n".join(paragraph if paragraph.startswith(" ") else _listed(paragraph) for paragraph in paragraphs)


def _listed(paragraph: str) -> str:
    """A paragraph, as a list if it has one "name: meaning" a line, whose further lines are indented."""
    lines = paragraph.splitlines()
    entries = [re.fullmatch(r"(\w+(?:, \w+)*): (.*)", line) for line in lines]
    if not all(entry or line.startswith(" ") for entry, line in zip(entries, lines, strict=True)):
        return paragraph
    return "\n".join(
        f"- `{e[1]}`: {e[2]}" if e else f"  {line.strip()}" for e, line in zip(entries, lines, strict=True)
    )


# Presets and settings


PRESETS_INTRODUCTION = (
    "A preset names methods and changes some of their settings. This page lists the presets, then what each of them "
    "changes, then every setting with its default. `texsynth presets show NAME` prints one preset in full."
)


def presets() -> str:
    """All presets, what each of them changes, and all settings of methods, losses, features and recipes."""
    names, trained = preset.names(), preset.trained()
    listed = [(f"[`{name}`](#preset-{_anchor(name)})", preset.read(name)["description"]) for name in names]
    listed_trained = [
        (f"[`{name}`](#training-preset-{_anchor(name)})", preset.read_training(name)["description"]) for name in trained
    ]
    parts = [
        PRESETS_INTRODUCTION,
        "## Presets of the commands",
        table(("preset", "description"), listed),
        "## Presets of texsynth train",
        table(("preset", "description"), listed_trained),
        "## What each preset changes",
        *(_preset(name) for name in names),
        *(_training_preset(name) for name in trained),
    ]
    for kind, modules in (
        ("Method", registry.METHODS),
        ("Loss", registry.LOSSES),
        ("Features", registry.FEATURES),
        ("Recipe", registry.RECIPES),
    ):
        parts.append(f"## Settings by {kind.lower()}")
        parts += [_module(kind, name, modules.module(name).Settings()) for name in modules.names()]
    return page("Presets", *parts)


def _preset(name: str) -> str:
    chosen = preset.load(name)
    stages = [f"Method `{stage.method}`" + _changes(settings.show(stage.settings)) for stage in chosen.stages]
    return f"### Preset {name}\n\n{chosen.description}\n\n" + "\n\n".join(stages)


def _training_preset(name: str) -> str:
    chosen = training.resolve(preset.read_training(name)["recipe"], name)
    return f"### Training preset {name}\n\n{chosen.description}\n\nRecipe `{chosen.recipe}`" + _changes(
        settings.show(chosen.settings)
    )


def _changes(rows: Iterable[dict[str, Any]]) -> str:
    """The settings that differ from their defaults, as a list; every objective with all that differs in it."""
    lines = []
    for row in rows:
        for item in row.get("items", ()):
            inner = [line for line in item if line["value"] != line["default"] or line["name"] in _NAMED]
            lines.append("- " + ", ".join(f"`{line['name']}: {_value(line['value'])}`" for line in inner))
        if "items" not in row and row["value"] != row["default"]:
            lines.append(f"- `{row['name']}: {_value(row['value'])}`")
    return ":\n\n" + "\n".join(lines) if lines else ", with default settings."


_NAMED = ("loss", "features", "layers", "weight")  # what an objective always says


def _module(kind: str, name: str, defaults: Any) -> str:
    """The table of all settings of one module."""
    rows = [
        (_code(row["name"]), _code("" if "items" in row else _value(row["default"])), row["allowed"], row["help"])
        for row in settings.show(defaults)
    ]
    body = table(("setting", "default", "allowed", "meaning"), rows) if rows else "It has no settings."
    return f"### {kind} {name}\n\n{body}"


def _anchor(name: str) -> str:
    """The anchor of a heading, as mkdocs and GitHub make it."""
    return re.sub(r"[^\w-]", "", name.lower())


# Metrics


def metrics() -> str:
    """All metrics: a table, and what each module says of itself."""
    rows, parts = [], []
    for name in registry.METRICS.names():
        module = registry.METRICS.module(name)
        about = module.ABOUT
        better = {True: "lower", False: "higher", None: "neither"}[about.lower_is_better]
        low, high = about.range
        limits = f"{low:g} and more" if high is None else f"{low:g} to {high:g}"
        rows.append((f"[`{name}`](#{_anchor(name)})", better, limits, ", ".join(about.needs), about.description))
        parts += [f"## {name}", _prose(inspect.getdoc(module) or "")]
    intro = (
        "`texsynth evaluate` compares results with their exemplar by these metrics. Those without weights run by "
        "default. Values of other weights, or of pictures of another size, do not compare."
    )
    return page("Metrics", intro, table(("metric", "better", "range", "weights", "what it is"), rows), *parts)


# Python


def python() -> str:
    """The functions of the package: their signatures and docstrings."""
    parts = [_prose(inspect.getdoc(texsynth) or "")]
    shared: dict[str, Any] = {}
    for name in texsynth.__all__:
        value = getattr(texsynth, name)
        if callable(value):
            parts += [f"## {name}", f"```python\n{_signature(name, value)}\n```", _documented(value)]
            shared |= _unpacked(value)
    for name, kind in shared.items():
        fields = "\n".join(f"{key}: {_annotation(hint)}" for key, hint in kind.__annotations__.items())
        parts += [f"## {name}", f"```python\n{fields}\n```", _documented(kind)]
    return page("Python", *parts)


def _signature(name: str, function: Callable[..., Any]) -> str:
    """The signature, one parameter a line."""
    signature = inspect.signature(function)
    lines, keyword_only = [], False
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not keyword_only:
            keyword_only = True
            lines.append("*")
        stars = "**" if parameter.kind is parameter.VAR_KEYWORD else ""
        default = "" if parameter.default is parameter.empty else f" = {_default(parameter.default)}"
        lines.append(f"{stars}{parameter.name}: {_annotation(parameter.annotation)}{default}")
    inner = "".join(f"    {line},\n" for line in lines)
    return f"{name}(\n{inner}) -> {_annotation(signature.return_annotation)}"


def _default(value: Any) -> str:
    """A default as the source has it, without what differs from run to run."""
    if callable(value):
        return "..."
    return "{}" if type(value).__name__ == "mappingproxy" and not value else repr(value)


def _annotation(hint: Any) -> str:
    text = hint if isinstance(hint, str) else getattr(hint, "__forward_arg__", None) or inspect.formatannotation(hint)
    return str(text)


def _unpacked(function: Callable[..., Any]) -> dict[str, Any]:
    """The TypedDicts whose items a function takes as keywords, by name."""
    hints = [_annotation(p.annotation) for p in inspect.signature(function).parameters.values()]
    names = [match[1] for hint in hints if (match := re.fullmatch(r"Unpack\[(\w+)\]", hint))]
    scope: dict[str, Any] = getattr(function, "__globals__", {})
    return {name: scope[name] for name in names if name in scope}


PAGES: dict[str, Callable[[], str]] = {"cli": cli, "presets": presets, "metrics": metrics, "python": python}


def main() -> int:
    """Write the pages, or compare them with --check; gives the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, and fail where a page differs")
    check = parser.parse_args().check
    differing = []
    for name, write in PAGES.items():
        path, text = FOLDER / f"{name}.md", write()
        if not path.is_file() or path.read_text("utf-8") != text:
            differing.append(path.name)
            if not check:
                path.write_text(text, "utf-8")
    if check and differing:
        print(
            f"docs/reference: {', '.join(differing)} not as the code has it; run `make docs-reference`", file=sys.stderr
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
