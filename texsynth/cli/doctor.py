"""`texsynth doctor`: what is installed, what the machine has, and whether a small run comes out right."""

from __future__ import annotations

import json as json_text
import os
import platform
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

from texsynth import preset
from texsynth.cli.command import Json
from texsynth.errors import WeightsError

PACKAGES = (
    *("texsynth", "torch", "torchvision", "numpy", "pillow", "tifffile", "imagecodecs", "pyyaml", "safetensors"),
    *("typer", "rich"),
)


def doctor(json: Json = False) -> None:
    """Versions, devices, memory, weights and presets found, and a two-second self test.

    Exit code 0 when all is well, 1 when the self test fails.
    """
    report: dict[str, Any] = {
        "versions": versions(),
        "devices": devices(),
        "native": native(),
        "memory": memory(),
        "pictures": pictures(),
        "weights": weights(),
        "presets": preset.names(),
        "self_test": self_test(),
    }
    typer.echo(json_text.dumps(report, indent=2) if json else "\n".join(lines(report)))
    if not report["self_test"]["ok"]:
        raise typer.Exit(1)


def versions() -> dict[str, str]:
    """Python, the platform, and each package; "missing" where there is none."""
    from importlib.metadata import PackageNotFoundError, version

    installed = {"python": platform.python_version(), "system": platform.platform()}
    for name in PACKAGES:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            installed[name] = "missing"
    return installed


def devices() -> dict[str, Any]:
    """Processor cores and threads, GPUs by name and memory in bytes, and whether Apple's GPU can be used."""
    import torch

    cards = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "cuda": [{"name": card.name, "memory": card.total_memory} for card in cards],
        "mps": torch.backends.mps.is_available(),
    }


def native() -> dict[str, Any]:
    """Whether the native core of the solver is used, and with what, or why it is not; without it runs take longer."""
    from texsynth import native

    return {"used": native.core() is not None, "message": native.describe()}


def memory() -> dict[str, int | None]:
    """Physical memory in bytes, all and free; None where the system does not say."""
    try:
        page = os.sysconf("SC_PAGE_SIZE")
        return {"total": page * os.sysconf("SC_PHYS_PAGES"), "free": page * os.sysconf("SC_AVPHYS_PAGES")}
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf, macOS not every name
        return {"total": None, "free": None}


def pictures() -> dict[str, list[str]]:
    """The endings of the picture files that are read and written, by what is installed."""
    from texsynth.image import codecs
    from texsynth.image import picture as image

    sides = {"read": image.SUFFIXES_READ, "written": image.SUFFIXES_WRITE}
    return {
        side: [ending for ending, form in forms.items() if codecs.is_installed(form)] for side, forms in sides.items()
    }


def weights() -> dict[str, Any]:
    """Weight files in TEXSYNTH_WEIGHTS (a file or a folder) and in torch's cache, and whether torchvision, which has
    all networks but VGG-19, can be used. The default method needs none of them."""
    from texsynth.weights import pretrained, zoo

    variable = os.environ.get("TEXSYNTH_WEIGHTS")
    places = [*([Path(variable)] if variable else []), pretrained.cache()]
    files = [file for place in places for file in (sorted(place.iterdir()) if place.is_dir() else [place])]
    problem = None
    try:
        zoo.models()
    except WeightsError as error:
        problem = str(error)
    return {
        "needed_by_default": False,
        "TEXSYNTH_WEIGHTS": variable,
        "files": [str(file) for file in files if file.suffix in pretrained.SUFFIXES and file.is_file()],
        "problem": problem,
    }


def self_test() -> dict[str, Any]:
    """Synthesize a small picture and check its size and that each of its colours is one of the exemplar's. Any failure
    is reported, whatever it is: finding it is what this is for."""
    start = time.perf_counter()
    try:
        problem = trial()
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
    return {
        "ok": problem is None,
        "seconds": round(time.perf_counter() - start, 2),
        "message": problem or "96x96 from 48x48 on the processor, made of exemplar pixels",
    }


def trial() -> str | None:
    """What is wrong with a small run, or None."""
    import numpy as np

    from texsynth import synthesize
    from texsynth.image import picture as image

    values = np.random.default_rng(0)
    spots = values.integers(0, 256, (12, 12, 3), dtype=np.uint8).repeat(4, axis=0).repeat(4, axis=1)
    exemplar = spots // 2 + values.integers(0, 128, spots.shape, dtype=np.uint8)
    result = image.to_array(synthesize(exemplar, "96x96", device="cpu").image)
    if result.shape != (96, 96, 3):
        return f"asked for 96x96 in colour, got an array of {result.shape}"
    strangers = {tuple(c) for c in result.reshape(-1, 3)} - {tuple(c) for c in exemplar.reshape(-1, 3)}
    return f"{len(strangers)} colours are not in the exemplar" if strangers else None


def lines(report: Mapping[str, Any]) -> Iterator[str]:
    """The report as people read it."""
    for name, version in report["versions"].items():
        yield row(name, version)
    machine = report["devices"]
    yield row("processor", f"{machine['cores']} cores, {machine['threads']} threads in use")
    yield row("native core", report["native"]["message"])
    cards = [f"{card['name']} ({gigabytes(card['memory'])})" for card in machine["cuda"]]
    yield row("cuda", ", ".join(cards) or "none")
    yield row("mps", "yes" if machine["mps"] else "none")
    yield row("memory", f"{gigabytes(report['memory']['total'])}, {gigabytes(report['memory']['free'])} free")
    yield row("reads", " ".join(report["pictures"]["read"]))
    yield row("writes", " ".join(report["pictures"]["written"]))
    yield row("weights", ", ".join(report["weights"]["files"]) or "none found; the default method needs none")
    if report["weights"]["problem"]:
        yield row("networks", report["weights"]["problem"])
    yield row("presets", ", ".join(report["presets"]) or "none found")
    test = report["self_test"]
    yield row("self test", f"{'passed' if test['ok'] else 'FAILED'} in {test['seconds']} s: {test['message']}")


def row(name: str, value: str) -> str:
    return f"{name:<12} {value}"


def gigabytes(amount: int | None) -> str:
    return "unknown" if amount is None else f"{amount / (1 << 30):.1f} GB"
