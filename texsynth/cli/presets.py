"""texsynth presets list | show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from texsynth import preset, settings
from texsynth.cli.command import Json, group
from texsynth.errors import one_line, printable
from texsynth.foreign import json_text

app = group("What a preset sets, and which there are.")
TRAIN = "train/"  # before the name of a preset of `texsynth train`


def _names(incomplete: str) -> list[str]:
    every = [*preset.names(), *(f"{TRAIN}{name}" for name in preset.trained())]
    return [name for name in every if name.startswith(incomplete)]


@app.command("list")
def list_(as_json: Json = False) -> int:
    """The presets that come with texsynth."""
    read = {name: preset.read(name) for name in preset.names()}
    learned = {name: preset.read_training(name) for name in preset.trained()}
    synthesis = [
        {"name": name, "description": plain["description"], "methods": [stage["method"] for stage in plain["stages"]]}
        for name, plain in read.items()
    ]
    training = [
        {"name": f"{TRAIN}{name}", "description": plain["description"], "recipe": plain["recipe"]}
        for name, plain in learned.items()
    ]
    if as_json:
        print(json_text.text({"presets": synthesis, "training": training}, indent=2))
        return 0
    width = max(len(entry["name"]) for entry in synthesis + training)
    for entry in synthesis:
        print(f"{entry['name']:{width}}  {entry['description']}")
    print("\nFor texsynth train, there without train/ before them:")
    for entry in training:
        print(f"{entry['name']:{width}}  {entry['description']}")
    return 0


@app.command(
    epilog="Examples:\n\ntexsynth presets show guided-correspondence\n\ntexsynth presets show train/texture-net --json"
)
def show(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE.yaml", autocompletion=_names)], as_json: Json = False
) -> int:
    """Every setting of a preset: its value, what `--set` may make of it, and what it does."""
    shown = _training(name.removeprefix(TRAIN)) if name.startswith(TRAIN) else preset.described(name)
    if as_json:
        print(json_text.text(shown, indent=2))
        return 0
    print(one_line(f"{shown['name']}: {shown['description']}"))
    for stage in shown.get("stages", [shown]):
        kind = "method" if "method" in stage else "recipe"
        print(f"\n{kind} {stage[kind]}")
        for row in stage["settings"]:
            print(*map(printable, _lines(row)), sep="\n")
    print("\n* differs from the default")
    return 0


def _training(name: str) -> dict[str, Any]:
    from texsynth.training import preset as training

    chosen = training.resolve(preset.read_training(name)["recipe"], name)
    rows = list(settings.show(chosen.settings))
    return {"name": chosen.name, "description": chosen.description, "recipe": chosen.recipe, "settings": rows}


def _lines(row: dict[str, Any]) -> Iterator[str]:
    """A setting as people read it; a list of objectives with the settings of each."""
    mark = " " if row["value"] == row["default"] else "*"
    if "items" not in row:
        value = ",".join(map(str, row["value"])) if isinstance(row["value"], tuple) else row["value"]
        yield f"{mark} {row['name']} = {value}  ({row['allowed']}) {row['help']}"
        return
    yield f"{mark} {row['name']}: {row['help']}"
    for number, item in enumerate(row["items"], 1):
        yield f"    {number}."
        yield from (f"    {line}" for inner in item for line in _lines(inner))
