"""texsynth weights list | fetch | verify."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from texsynth.cli import messages
from texsynth.cli.command import Json, group
from texsynth.errors import WeightsError
from texsynth.foreign import json_text
from texsynth.image.files import digest
from texsynth.weights import download, pretrained, zoo

app = group("Pretrained networks: which there are, and whether they are here.")


def _names() -> list[str]:
    return sorted(pretrained.NETWORKS)


@app.command("list")
def list_(as_json: Json = False) -> int:
    """Every network, its size, where it is fetched from, and the file that a run would use."""
    entries = [_describe(name) for name in _names()]
    if as_json:
        print(json_text.text({"networks": entries}, indent=2))
        return 0
    for entry in entries:
        print(f"{entry['name']}  {entry['description']}")
        print(f"  {download.amount(entry['size'])} from {entry['url']}")
        print(f"  {_place(entry)}")
    return 0


@app.command(epilog="Examples:\n\ntexsynth weights fetch vgg19\n\ntexsynth weights fetch convnext_tiny")
def fetch(name: Annotated[str, typer.Argument(metavar="NAME", autocompletion=_names)]) -> int:
    """Download a network, a listed one or any other of torchvision, into torch's cache, and print where it is."""
    path = pretrained.find(name)
    if path is not None:
        messages.note(f"{name} weights are here already")
    print(path or pretrained.fetch(name, messages.note))
    return 0


@app.command(epilog="Examples:\n\ntexsynth weights verify vgg19\n\ntexsynth weights verify my_vgg19.safetensors")
def verify(what: Annotated[str | None, typer.Argument(metavar="[NAME|FILE]", autocompletion=_names)] = None) -> int:
    """Check the file that a run would use, of one network or of all that are here, or any file of weights.

    A fetched file must have the right hash; any other must be readable, of the right shapes and finite.
    """
    if what is not None and Path(what).is_file():
        print(_supplied(Path(what), _names()))
    elif what is None or what.isidentifier():  # the name of a network
        names = _names() if what is None else [what]
        here = {name: path for name in names if (path := pretrained.find(name)) is not None}
        if not here:
            remedies = " or ".join(f"`texsynth weights fetch {name}`" for name in names)
            raise WeightsError(f"{' and '.join(names)} weights are not here; {remedies} gets them")
        for name, path in here.items():
            print(_fetched(path, name) if path == pretrained.cached(name) else _supplied(path, [name]))
    else:
        raise WeightsError(f"{what} is no file, nor one of the networks {', '.join(_names())}")
    return 0


def _fetched(path: Path, name: str) -> str:
    """What is right with torch's copy; raises WeightsError."""
    expected, actual = pretrained.entry(name).sha256, digest(path)
    if not actual.startswith(expected):
        wrong = f"its SHA-256 begins {actual[: len(expected)]}, not {expected}"
        raise WeightsError(f"{path} is damaged ({wrong}); delete it, and `texsynth weights fetch {name}` gets it again")
    return f"{path}: {name}, SHA-256 {actual}, as published"


def _supplied(path: Path, names: list[str]) -> str:
    """What is right with a file of one of these networks, every layer of which is read; raises WeightsError."""
    holding = {name: layers for name in names if (layers := pretrained.held(path, name))}
    if not holding:
        raise WeightsError(f"{path} holds none of the networks {', '.join(names)}")
    name, layers = max(holding.items(), key=lambda item: len(item[1]))
    read = pretrained.read(path, name, _shapes(name, layers))
    span = " to ".join(dict.fromkeys((layers[0], layers[-1])))
    return f"{path}: {name}, {span}, finite, SHA-256 {read.sha256}"


def _shapes(name: str, layers: Sequence[str]) -> pretrained.Shapes:
    """The shapes of the tensors of these layers of a network, of all its layers where it has none by name."""
    from texsynth.features import features

    return features(name).keys(layers) if name in _names() else zoo.shapes(zoo.module(name))


def _describe(name: str) -> dict[str, Any]:
    """A network and its file, with what is wrong with that."""
    entry = pretrained.entry(name)
    row: dict[str, Any] = {"name": name, "description": entry.description, "size": entry.size, "url": entry.url}
    row |= {"file": None, "layers": [], "problem": None}
    try:
        path = pretrained.find(name)
        if path is not None:
            row["file"] = str(path)
            row["layers"] = list(pretrained.held(path, name))
    except WeightsError as error:
        row["problem"] = str(error)
    return row


def _place(entry: dict[str, Any]) -> str:
    if entry["problem"]:
        return str(entry["problem"])
    if entry["file"] is None:
        return "not here"
    layers = entry["layers"]
    return f"{entry['file']} ({f'{layers[0]} to {layers[-1]}' if layers else 'none of its layers'})"
