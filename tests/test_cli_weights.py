"""`texsynth weights` through the command line."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conftest import Texsynth
from networks import random_network, random_resnet50, random_vgg
from shelf import CONTENT, LAYERS, NETWORKS, SIZE, Shelf, damaged, silent
from texsynth.cli import main
from texsynth.image import files
from texsynth.weights import pretrained, zoo

Refused = Callable[..., str]


def listed(texsynth: Texsynth) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(texsynth("weights", "list", "--json").out)["networks"]
    return rows


def test_list_says_what_is_here(shelf: Shelf, texsynth: Texsynth) -> None:
    before = texsynth("weights", "list")
    assert before.code == 0
    assert "not here" in before.out and shelf.url in before.out and SIZE in before.out
    path = pretrained.fetch("vgg19", silent)
    assert f"{path} (relu1_1 to relu1_2)" in texsynth("weights", "list").out
    (row,) = listed(texsynth)
    facts = {"name": "vgg19", "file": str(path), "problem": None, "layers": ["relu1_1", "relu1_2"]}
    assert row | facts | {"size": len(CONTENT)} == row


@pytest.mark.parametrize("kind", ["missing", "text", "other"])
def test_list_says_what_is_wrong(
    kind: str, texsynth: Texsynth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged(tmp_path / "w.pth", kind)
    monkeypatch.setenv("TEXSYNTH_WEIGHTS", "w.pth")
    ran = texsynth("weights", "list")
    words = {"missing": "w.pth does not exist", "text": "w.pth is no weights file", "other": "none of its layers"}
    assert ran.code == 0 and ran.out.count(words[kind]) == len(NETWORKS)
    assert [(entry["name"], entry["layers"]) for entry in listed(texsynth)] == [("resnet50", []), ("vgg19", [])]


def test_list_has_each_file_at_its_network(
    texsynth: Texsynth, two: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEXSYNTH_WEIGHTS", str(two["vgg19"]))
    files = {entry["name"]: (entry["file"], entry["problem"]) for entry in listed(texsynth)}
    assert files == {"vgg19": (str(two["vgg19"]), None), "resnet50": (None, None)}


def test_list_needs_neither_torch_nor_torchvision(tmp_path: Path) -> None:
    """Even to tell the layers of files, of both kinds."""
    random_resnet50(tmp_path / "resnet50.safetensors", ("stem",))
    (tmp_path / "vgg19.pth").write_bytes(CONTENT)
    code = (
        "import sys\nsys.modules.update(torch=None, torchvision=None)\n"
        "from texsynth.cli import main\nsys.exit(main(['weights', 'list', '--json']))"
    )
    env = {**os.environ, "TEXSYNTH_WEIGHTS": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    rows = json.loads(done.stdout)["networks"]
    assert {row["name"]: row["layers"] for row in rows} == {"resnet50": ["stem"], "vgg19": ["relu1_1", "relu1_2"]}


def test_any_network_of_torchvision_is_fetched(
    shelf: Shelf, texsynth: Texsynth, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What torchvision tells of its size is rounded; the server has the last word."""
    digest = hashlib.sha256(CONTENT).hexdigest()
    true = zoo.entry("convnext_tiny")
    entry = replace(true, url=shelf.url, sha256=digest[:8], size=len(CONTENT) + 500, tolerance=1000)
    monkeypatch.setattr(zoo, "entry", lambda name: {"convnext_tiny": entry}[name])
    shelf.cut = 70_000
    assert f"stopped at 70 kB of {SIZE}" in texsynth("weights", "fetch", "convnext_tiny").err
    shelf.cut = None
    ran = texsynth("weights", "fetch", "convnext_tiny")
    assert (ran.code, ran.out) == (0, f"{pretrained.cached('convnext_tiny')}\n")
    assert "fetching convnext_tiny weights (" in ran.err and f" from {shelf.url}, going on after" in ran.err
    assert "as published" in texsynth("weights", "verify", "convnext_tiny").out


def test_verify_reads_a_file_of_another_network(
    texsynth: Texsynth, refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = random_network("torchvision:squeezenet1_1", tmp_path / "squeezenet1_1.safetensors", ["classifier"])
    monkeypatch.setenv("TEXSYNTH_WEIGHTS", str(tmp_path))
    assert f"{path}: squeezenet1_1, all, finite" in texsynth("weights", "verify", "squeezenet1_1").out
    assert "squeezenet1_0" in refused(5, "weights", "verify", "squeezenet1_0")


def test_fetch_prints_where_it_is(shelf: Shelf, texsynth: Texsynth) -> None:
    first, again = (texsynth("weights", "fetch", "vgg19") for _ in range(2))
    assert first.out == again.out == f"{pretrained.cached('vgg19')}\n"
    assert first.err.startswith(f"texsynth: fetching vgg19 weights ({SIZE}) from {shelf.url}")
    assert first.err.count("\n") == 1
    assert again.err == "texsynth: vgg19 weights are here already\n"
    assert len(shelf.asked) == 1


@pytest.mark.parametrize(
    "trouble", [{"status": 404}, {"cut": 100}, {"content": CONTENT[:-1] + b"?"}], ids=["missing", "cut", "damaged"]
)
def test_a_fetch_that_fails_is_exit_code_5(shelf: Shelf, texsynth: Texsynth, trouble: dict[str, object]) -> None:
    for name, value in trouble.items():
        setattr(shelf, name, value)
    ran = texsynth("weights", "fetch", "vgg19")
    assert (ran.code, ran.out) == (5, "")
    notice, error = ran.err.splitlines()
    assert notice.startswith("texsynth: fetching vgg19")
    assert error.startswith("texsynth: error: ") and "--weights FILE" in error


def test_a_network_that_is_not_known_is_exit_code_2(refused: Refused) -> None:
    assert "did you mean vgg19?" in refused(2, "weights", "fetch", "vgg91")


@pytest.mark.usefixtures("shelf")
def test_verify_knows_a_fetched_file_by_its_hash(texsynth: Texsynth, refused: Refused) -> None:
    assert "`texsynth weights fetch vgg19`" in refused(5, "weights", "verify")
    path = pretrained.fetch("vgg19", silent)
    for words in ((), ("vgg19",)):
        assert "as published" in texsynth("weights", "verify", *words).out
    path.write_bytes(CONTENT[:-1] + b"?")
    assert "delete it, and `texsynth weights fetch vgg19`" in refused(5, "weights", "verify", "vgg19")


def test_verify_looks_at_the_networks_that_are_here(
    texsynth: Texsynth, refused: Refused, two: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = refused(5, "weights", "verify")
    assert "resnet50 and vgg19 weights are not here" in said and "`texsynth weights fetch resnet50` or" in said
    monkeypatch.setenv("TEXSYNTH_WEIGHTS", str(two["vgg19"]))
    (line,) = texsynth("weights", "verify").out.splitlines()
    assert "vgg19, relu1_1 to relu1_2, finite" in line
    assert "`texsynth weights fetch resnet50`" in refused(5, "weights", "verify", "resnet50")
    assert "resnet50, stem, finite" in texsynth("weights", "verify", two["resnet50"]).out


def test_verify_reads_any_other_file(
    texsynth: Texsynth, refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    path = random_vgg(tmp_path / "mine.safetensors", LAYERS)
    ran = texsynth("weights", "verify", path)
    assert ran.code == 0
    assert "vgg19, relu1_1 to relu1_2, finite" in ran.out and files.digest(path) in ran.out
    monkeypatch.setenv("TEXSYNTH_WEIGHTS", str(path))
    assert texsynth("weights", "verify").out == ran.out
    assert "no file, nor one of the networks resnet50, vgg19" in refused(5, "weights", "verify", "nothing.pth")
    other = "none of the networks resnet50, vgg19"
    for kind, words in (("text", "no weights file"), ("nan", "not finite"), ("other", other)):
        damaged(path, kind)
        assert words in refused(5, "weights", "verify", path)


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ("list", "fetch", "verify"))
