"""What the page asks for, as JSON that anybody may have written, made into the request of a verb, and into a command.

Everything is read as the command line reads it: the same words, parsed and checked by the same options. In the places
of files stand the names by which the server knows its pictures.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import count
from pathlib import Path
from typing import Any

from texsynth.errors import UsageError, shown
from texsynth.foreign import yaml_text
from texsynth.foreign.held import Held
from texsynth.material import schemes
from texsynth.material.names import is_base_colour
from texsynth.requests import option
from texsynth.requests.guides import AUTO
from texsynth.requests.option import ARGUMENT, LONGEST_WORD, Option, options, replaced
from texsynth.requests.shared import NONE
from texsynth.studio.definitions import STRAIGHTEN, VERBS, asked_of, choices
from texsynth.studio.definitions import request as request_of

KEYS = {"verb", "exemplars", "values", "settings", "files"}
MOST_FILES = 64  # of one option, and settings
IDENTITY = re.compile(r"[\w-]{1,100}", re.ASCII)  # of a picture, by which the page knows it
SETTING = re.compile(r"[\w.+-]{1,100}", re.ASCII)
SEVERAL = ("synthesize", "control")  # verbs that take more than one exemplar

File = Callable[[str], Path]  # the picture that the page knows by a name
Change = Callable[[Option, int, Any], Any]  # of a file, the N-th of its option


class Straightened(Held):
    """An exemplar that was made of a photograph. request: that of `capture`, which makes it again."""

    request: Any = None

    @cached_property
    def size(self) -> int:
        """The bytes that it takes, with those of the photograph, and of what that was made of in turn."""
        return len(self.content) + sum(photo.size for photo in self.request.photos if isinstance(photo, Held))


@dataclass(frozen=True)
class Errand:
    """What the page asks for: a verb and its request, checked as far as that goes without its pictures."""

    verb: str
    request: Any


def asked(document: Any, file: File, machine: Mapping[str, Any]) -> Errand:
    """The request of a sheet; raises UsageError. file: gives the picture of a name. machine: the device, threads and
    memory to use."""
    if not isinstance(document, dict) or document.keys() - KEYS or document.get("verb") not in VERBS:
        raise UsageError(f"a sheet has a verb, one of {', '.join(VERBS)}, and beside it {', '.join(sorted(KEYS))}")
    verb = document["verb"]
    exemplars = _names(document.get("exemplars", []), "exemplars")
    if not exemplars or (len(exemplars) > 1 and verb not in SEVERAL):
        raise UsageError(f"{verb} takes {'at least one picture' if verb in SEVERAL else 'one picture'}")
    declared = asked_of(verb)
    texts = _values(declared, document.get("values", {})) | _files(declared, document.get("files", {}))
    texts |= {"settings": _settings(document.get("settings", {})) or None, "exemplars": exemplars}
    request = with_files(option.parsed(request_of(verb), {**machine, **texts}), partial(_opened, file))
    option.check(request)
    return Errand(verb, _as_a_command_finds_it(request))


def straightening(values: Any, photo: Path, output: str, machine: Mapping[str, Any]) -> Any:
    """The request of `capture` that makes an exemplar of a photograph, under a name; raises UsageError."""
    texts = _values(asked_of(STRAIGHTEN), values)
    request = option.parsed(request_of(STRAIGHTEN), {**machine, **texts, "output": output, "update": True})
    option.check(request)
    return replace(request, photos=[photo])


def text(verb: str, request: Any) -> str:
    """The command line that asks for the same, as a shell of this system reads it."""
    plain = with_files(request, lambda _, __, file: f"./{file}" if str(file).startswith("-") else file)
    words = ["texsynth", verb, *option.words(plain)]
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def with_files(request: Any, change: Change) -> Any:
    """A request with other files."""
    every = {o: o.of(request) for o in options(type(request)) if o.role or o.flags == (ARGUMENT,)}
    changed = {o: _changed(value, partial(change, o), count()) for o, value in every.items() if value is not None}
    return replaced(request, changed)


def _values(declared: Mapping[str, Option], values: Any) -> dict[str, Any]:
    """What the command line would give for these options, by name; raises UsageError."""
    if not isinstance(values, dict):
        raise UsageError("values of a sheet are a mapping of names to values")
    texts: dict[str, Any] = {}
    for name, value in values.items():
        if name not in declared or declared[name].role:
            raise UsageError(f"{shown(name)} is no option that the page gives")
        text = _text(declared[name], value)
        if text is not None:
            texts[name] = text
    return texts


def _text(o: Option, value: Any) -> Any:
    """What the command line would give for an option; None where it would not stand there; raises UsageError."""
    if value is None or value == "":
        return None
    if o.kind is bool:
        if not isinstance(value, bool):
            raise UsageError(f"{o.flag} {shown(value)} is not true or false")
        return value if value or "/" in o.flags[-1] else None
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise UsageError(f"{o.flag} {shown(value)} is neither text nor a number")
    words = _plain(str(value), o.flag)
    if (allowed := choices(o)) and words not in allowed:
        raise UsageError(f"{o.flag} {shown(value)} is not one of {', '.join(allowed)}")
    try:
        return words.split() if o.kind is list else o.kind(words)
    except ValueError:
        what = "a whole number" if o.kind is int else "a number"
        raise UsageError(f"{o.flag} {shown(value)} is not {what}") from None


def _plain(words: str, what: str) -> str:
    """Words that fit into a line of a shell; raises UsageError."""
    if len(words) > LONGEST_WORD or not words.isprintable():
        raise UsageError(f"{what} {shown(words)} is no text of at most {LONGEST_WORD} characters")
    return words


def _settings(values: Any) -> list[str]:
    """The words of --set; raises UsageError."""
    if not isinstance(values, dict) or len(values) > MOST_FILES or not all(map(SETTING.fullmatch, values)):
        raise UsageError(f"settings of a sheet are a mapping of at most {MOST_FILES} keys to values")
    plain = {key: value for key, value in values.items() if value is not None and value != ""}
    if not all(isinstance(value, (str, bool, int, float)) for value in plain.values()):
        raise UsageError("the value of a setting is a text, such as [1, 2], a number, or true or false")
    words = {key: value if isinstance(value, str) else yaml_text.text(value) for key, value in plain.items()}
    return [f"{key}={_plain(word, f'--set {key}')}" for key, word in words.items()]


def _files(declared: Mapping[str, Option], files: Any) -> dict[str, Any]:
    """What the command line would give for options that name files, with names of pictures in the places of files;
    raises UsageError."""
    if not isinstance(files, dict):
        raise UsageError("files of a sheet are a mapping of options to lists of pictures")
    texts: dict[str, Any] = {}
    for name, value in files.items():
        o = declared.get(name)
        if o is None or not o.role:
            raise UsageError(f"{shown(name)} is no option that names a picture")
        words = _named(value) if o.role.endswith(":") else _names(value, name)
        most = 2 if o.kind is tuple else MOST_FILES if o.kind is list else 1
        if len(words) > most or (o.kind is tuple and len(words) == 1):
            raise UsageError(f"{o.flag} takes {most} picture{'s' if most > 1 else ''}, and got {len(words)}")
        if words:
            texts[name] = words if o.kind is list else tuple(words) if o.kind is tuple else words[0]
    return texts


def _named(maps: Any) -> list[str]:
    """The words of --map; raises UsageError."""
    if not isinstance(maps, dict) or len(maps) > MOST_FILES:
        raise UsageError("maps of a sheet are a mapping of names to lists of pictures")
    return [f"{name}={word}" for name, value in maps.items() for word in _names(value, "maps")]


def _names(value: Any, where: str) -> list[str]:
    """A list of names of pictures; raises UsageError."""
    if not isinstance(value, list) or len(value) > MOST_FILES:
        raise UsageError(f"{where} of a sheet is a list of at most {MOST_FILES} pictures")
    for word in value:
        if not isinstance(word, str) or not IDENTITY.fullmatch(word):
            raise UsageError(f"{where}: {shown(word)} is no picture that the page has")
    return list(value)


def _opened(file: File, o: Option, number: int, word: Any) -> Any:
    """The picture of a name; `auto` stands for that of the first map of a progression."""
    return word if word == AUTO and o.name == "progression" and number == 0 else file(word)


def _changed(value: Any, change: Callable[[int, Any], Any], numbers: Iterator[int]) -> Any:
    if isinstance(value, Mapping):
        return {name: _changed(part, change, numbers) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_changed(part, change, numbers) for part in value)
    return change(next(numbers), value)


def _as_a_command_finds_it(request: Any) -> Any:
    """The request with what the command line would else find by the names of files, or take from a scheme of names."""
    scheme = None if request.names is None else schemes.scheme(request.names)
    if request.maps:
        by_scheme = scheme.normals if scheme is not None and scheme.is_of_an_engine else None
        return replace(request, normals_out=request.normals_out or by_scheme)
    sought = len(request.exemplars) > 1 or is_base_colour(request.exemplars[0].stem)
    return replace(request, find_maps=NONE if sought else None)
