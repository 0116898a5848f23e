"""Weights fetched from a server that fails in every way."""

from __future__ import annotations

import shutil
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from shelf import CONTENT, SIZE, Shelf, silent
from texsynth.errors import ResourceError, WeightsError
from texsynth.weights import download, pretrained


def part() -> Path:
    cached = pretrained.cached("vgg19")
    return cached.with_name(f"{cached.name}.part")


def beginning(content: bytes) -> None:
    """Leave this of an earlier try."""
    part().parent.mkdir(parents=True)
    part().write_bytes(content)


def fails(*words: str) -> str:
    """A fetch that must fail, with these words in its one line, and leave nothing that looks whole; gives the line."""
    with pytest.raises(WeightsError) as caught:
        pretrained.fetch("vgg19", silent)
    text = str(caught.value)
    assert "\n" not in text
    assert all(word in text for word in (*words, "--weights FILE", "TEXSYNTH_WEIGHTS")), text
    assert not pretrained.cached("vgg19").exists()
    return text


def test_a_whole_file_is_fetched_once_and_said_in_one_line(shelf: Shelf) -> None:
    said: list[str] = []
    path = pretrained.fetch("vgg19", said.append)
    assert path == pretrained.cached("vgg19")
    assert path.read_bytes() == CONTENT
    assert said == [f"fetching vgg19 weights ({SIZE}) from {shelf.url}"]
    assert pretrained.fetch("vgg19", said.append) == path
    assert len(said) == len(shelf.asked) == 1
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_download_goes_on(shelf: Shelf, ranges: bool) -> None:
    """From where it stopped; or from the beginning, where the server knows no ranges."""
    shelf.cut, shelf.ranges = 70_000, ranges
    fails(f"stopped at 70 kB of {SIZE}", "`texsynth weights fetch vgg19` goes on there")
    assert part().read_bytes() == CONTENT[: shelf.cut]
    shelf.cut = None
    said: list[str] = []
    assert pretrained.fetch("vgg19", said.append).read_bytes() == CONTENT
    assert shelf.asked == [None, "bytes=70000-"]
    assert said[0].endswith(", going on after 70 kB")
    assert not part().exists()


def test_a_whole_part_is_not_asked_for_again(shelf: Shelf) -> None:
    beginning(CONTENT)
    assert pretrained.fetch("vgg19", silent).read_bytes() == CONTENT
    assert shelf.asked == []


@pytest.mark.parametrize(
    "received", [b"", b"not the same beginning", CONTENT + b"more"], ids=["end", "beginning", "length"]
)
def test_a_damaged_file_is_removed(shelf: Shelf, received: bytes) -> None:
    if received:
        beginning(received)
    else:
        shelf.content = CONTENT[:-1] + b"?"
    fails("arrived damaged", "SHA-256 begins", "tries again")
    assert not part().exists()
    shelf.content = CONTENT
    assert pretrained.fetch("vgg19", silent).read_bytes() == CONTENT


def test_a_part_that_the_server_cannot_go_on_from_is_removed(shelf: Shelf) -> None:
    beginning(CONTENT[:-1])
    shelf.content = CONTENT[:5]
    fails("the server says 416")
    assert not part().exists()


def test_another_file_of_that_name_is_refused_and_keeps_the_part(shelf: Shelf) -> None:
    """As a login page of a network would be."""
    beginning(CONTENT[:50])
    shelf.content, shelf.ranges = b"<html>Log in</html>", False
    fails("the server sends 19 bytes", f"not {len(CONTENT)}")
    assert part().read_bytes() == CONTENT[:50]


@pytest.mark.parametrize(("status", "words"), [(404, "404 Not Found"), (503, "503 Service Unavailable")])
def test_what_the_server_says_is_told(shelf: Shelf, status: int, words: str) -> None:
    shelf.status = status
    fails(shelf.url, words)


def test_no_server_is_told(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = replace(pretrained.NETWORKS["vgg19"], url="http://127.0.0.1:1/vgg19-test.pth")
    monkeypatch.setattr(pretrained, "NETWORKS", {"vgg19": nowhere})
    fails("no answer from http://127.0.0.1:1/vgg19-test.pth", "refused")
    assert shelf.asked == []


def test_offline_means_offline(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXSYNTH_OFFLINE", "1")
    fails("TEXSYNTH_OFFLINE")
    assert shelf.asked == []
    monkeypatch.setenv("TEXSYNTH_OFFLINE", "0")
    assert pretrained.fetch("vgg19", silent).is_file()


def test_a_full_disk_is_told(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1000))
    fails(f"no room for {SIZE}")
    assert shelf.asked == []

    def full(*_: object) -> Iterator[bytes]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1 << 40))
    monkeypatch.setattr(download, "blocks", full)
    fails("cannot be written: No space left on device")
    with pytest.raises(ResourceError):  # exit code 4, as for every full disk
        pretrained.fetch("vgg19", silent)


def test_a_cache_that_cannot_be_made_is_told(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "torch").write_text("a file where the folder would be", "utf-8")
    fails("cannot be written")
    assert shelf.asked == []
