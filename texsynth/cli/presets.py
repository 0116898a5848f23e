"""texsynth presets list | show."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from texsynth import preset
from texsynth.cli.options import preset_names

app = typer.Typer(help="What a preset sets, and which there are.", invoke_without_command=True)

Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


@app.callback()
def options(context: typer.Context) -> None:
    """What a preset sets, and which there are."""
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command("list")
def list_(as_json: Json = False) -> int:
    """The presets that come with texsynth."""
    found = [{"name": name, **_summary(name)} for name in preset.names()]
    if as_json:
        print(json.dumps({"presets": found}, indent=2))
        return 0
    width = max(len(entry["name"]) for entry in found)
    for entry in found:
        print(f"{entry['name']:{width}}  {entry['description']}")
    return 0


@app.command(
    epilog="Examples:\n\n"
    "texsynth presets show guided-correspondence\n\n"
    "texsynth presets show guided-correspondence-draft --json"
)
def show(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE.yaml", autocompletion=preset_names)],
    as_json: Json = False,
) -> int:
    """Every setting of a preset: its value, what `--set` may make of it, and what it does."""
    from texsynth import settings

    chosen = preset.load(name)
    stages: list[dict[str, Any]] = [
        {"method": stage.method, "settings": list(settings.show(stage.settings))} for stage in chosen.stages
    ]
    if as_json:
        print(json.dumps({"name": chosen.name, "description": chosen.description, "stages": stages}, indent=2))
        return 0
    print(f"{chosen.name}: {chosen.description}")
    for stage in stages:
        print(f"\nmethod {stage['method']}")
        for row in stage["settings"]:
            for line in _lines(row):
                print(line)
    print("\n* differs from the method's default")
    return 0


def _lines(row: dict[str, Any]) -> Iterator[str]:
    """A setting as people read it; a list of objectives with the settings of each."""
    mark = " " if row["value"] == row["default"] else "*"
    if "items" not in row:
        yield f"{mark} {row['name']} = {_plain(row['value'])}  ({row['allowed']}) {row['help']}"
        return
    yield f"{mark} {row['name']}: {row['help']}"
    for number, item in enumerate(row["items"], 1):
        yield f"    {number}."
        yield from (f"    {line}" for inner in item for line in _lines(inner))


def _summary(name: str) -> dict[str, Any]:
    content = preset.read(name)
    return {
        "description": content["description"],
        "methods": [stage["method"] for stage in content["stages"]],
    }


def _plain(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
