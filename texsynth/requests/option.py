"""How a request declares an option, once: its type, default, help, limits and what a record keeps of it.

From the fields of a request derive the command line (`cli/command.py`), the keywords of the Python API and their
documentation (`api/`), the record of a run and its replay (`recorded` and `recalled` here), and the reference pages.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from numbers import Integral
from types import UnionType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, Union, get_args, get_origin, get_type_hints

from texsynth.errors import InputError, UsageError, shown
from texsynth.settings import meanings

if TYPE_CHECKING:
    from pathlib import Path

    from texsynth.image.load import Source as Source

    Text = str | int
    Numbers = str | Sequence[Any]
else:  # what the command line gives for each of them
    Source = Text = Numbers = str

Kind = TypeVar("Kind")
Files = Callable[[str], "list[str]"]  # the files of a recorded run, by their role among its inputs
ARGUMENT = "argument"
LARGEST_NUMBER = 2**63  # which no number of an option reaches
LONGEST_WORD, LONGEST_LIST = 300, 1000  # that a record keeps of an option


@dataclass(frozen=True)
class Option:
    """One option of a request.

    name: the keyword in Python and the key in a record.
    path: the attributes that lead to it from the request; two where it belongs to a part such as a guide.
    flags: what the command line calls it; ARGUMENT alone for a positional argument, nothing for what only a record
        knows.
    help: a full sentence; panel: the heading above it in `--help`.
    text: the type of what the command line gives; parse: makes the value out of that; texts: the other way round, the
        words of each time that the option stands on the command line.
    choices: the only words that are allowed; complete: words, or a function, for completion in the shell.
    low, high: the least and the largest number.
    section: the part of the record that keeps it, "" for the top level, None where it is not kept.
    stored: the type of what the record keeps.
    role: the role of its files among the inputs of a record.
    per: "exemplar" where there is one file for each exemplar, "run" where there is one for each run; a folder then
        stands for its files of the exemplars' stems.
    group: options of one group exclude each other.
    ways: the options of which one must be given for this one to mean anything, itself for one of these.
    sparse: does a record keep it only where it has a value?
    absent: what a record that lacks it stands for.
    """

    name: str
    path: tuple[str, ...]
    default: Any
    flags: tuple[str, ...]
    help: str
    metavar: str | None
    panel: str
    text: Any
    complete: Sequence[str] | Callable[[str], list[str]]
    section: str | None
    stored: type
    parse: Callable[[Any], Any] | None = None
    texts: Callable[[Any], list[list[str]]] | None = None
    choices: tuple[str, ...] = ()
    low: int | None = None
    high: int | None = None
    role: str = ""
    per: str = ""
    group: str = ""
    ways: tuple[str, ...] = ()
    sparse: bool = False
    absent: Any = dataclasses.field(default=None, hash=False)

    @property
    def flag(self) -> str:
        """The long flag, as messages name the option."""
        return self.flags[-1].partition("/")[0] if self.flags else self.name

    @property
    def kind(self) -> type:
        """The type of what the command line gives, where it gives something: bool, int, float, str, list or tuple."""
        return _plain_type(self.text)

    @property
    def is_list(self) -> bool:
        """Does a request hold a list of words or files?"""
        return self.kind is list or self.name == "source_orientation"

    def of(self, request: Any) -> Any:
        """The value that a request holds."""
        for name in self.path:
            request = getattr(request, name)
        return request


def option(default: Any, *, flags: str = "", metavar: str | None = None, help: str = "", **details: Any) -> Any:  # noqa: A002
    """A field of a request that is an option; `details` are further attributes of Option.

    What it means stands in the docstring of its class, in `help` where that is no plain text. flags are separated by
    spaces, and by default made of the field's name, as name is. recorded: does the record of a run keep it? hidden: is
    it there for the record only?
    """
    return dataclasses.field(
        default=default, metadata={"option": {"help": help, "flags": flags, "metavar": metavar, **details}}
    )


def argument(metavar: str, required: bool = False, help: str = "", **details: Any) -> Any:  # noqa: A002
    """A field of a request that is a positional argument."""
    return option(dataclasses.MISSING if required else None, flags=ARGUMENT, metavar=metavar, help=help, **details)


class Part:
    """Base of every dataclass that declares options.

    PANEL: their heading in `--help`.
    SECTION: the part of the record that keeps their values.
    FORGOTTEN: names of options that a recorded run does not give back.
    """

    PANEL: ClassVar[str] = ""
    SECTION: ClassVar[str] = ""
    FORGOTTEN: ClassVar[tuple[str, ...]] = ()


def options(kind: Any) -> tuple[Option, ...]:
    """All options of a request: its own ones and those of its parts first, then the shared ones in their order."""
    return _options(kind)


@cache
def _options(kind: Any) -> tuple[Option, ...]:  # apart, since `cache` hides the types of arguments
    return tuple(_declared(kind, kind.__mro__))


def _declared(kind: Any, owners: Sequence[type]) -> list[Option]:
    """The options that these classes declare, in this order."""
    hints: dict[str, Any] = get_type_hints(kind)
    by_name = {f.name: f for f in fields(kind)}
    out: list[Option] = []
    for owner in owners:
        for name in vars(owner).get("__annotations__", {}):
            if name not in by_name:
                continue
            field, hint = by_name.pop(name), hints[name]
            if is_dataclass(hint):
                inner = _declared(hint, list(reversed(hint.mro())))  # type: ignore[union-attr]
                out += [dataclasses.replace(o, path=(name, *o.path)) for o in inner]
            elif "option" in field.metadata:
                out.append(_option(field, hint, owner))
    return out


def _option(field: dataclasses.Field[Any], hint: Any, owner: Any) -> Option:
    details = {"panel": owner.PANEL, "text": hint, "choices": (), "name": field.name, **field.metadata["option"]}
    flags = tuple(details["flags"].split()) or (f"--{details['name'].replace('_', '-')}",)
    details["flags"] = () if details.pop("hidden", False) else flags
    details["help"] = details["help"] or meanings(owner)[field.name]
    details["metavar"] = details["metavar"] or "|".join(details["choices"]) or None
    details["section"] = owner.SECTION if details.pop("recorded", False) else None
    derived = {"complete": details["choices"], "stored": _plain_type(details["text"])}
    return Option(path=(field.name,), default=field.default, **{**derived, **details})


def _plain_type(hint: Any) -> type:
    """bool for `bool | None`, list for `list[str] | None` and for `list[str]`."""
    if get_origin(hint) in (Union, UnionType):
        hint = next(kind for kind in get_args(hint) if kind is not type(None))
    plain: type = get_origin(hint) or hint
    return plain


def made(kind: type[Kind], values: Mapping[str, Any]) -> Kind:
    """A request from the values of its options by name; what is not among them has its default."""
    required = {f.name: None for f in fields(kind) if f.default is f.default_factory is dataclasses.MISSING}  # type: ignore[arg-type]
    return replaced(kind(**required), {o: values[o.name] for o in options(kind) if o.name in values})


def parsed(kind: type[Kind], texts: Mapping[str, Any]) -> Kind:
    """A request from what the command line gives for its options, by name; raises UsageError."""
    by_name = {o.name: o for o in options(kind)}
    values = ((by_name[name], text) for name, text in texts.items())
    return made(kind, {o.name: text if o.parse is None or text is None else o.parse(text) for o, text in values})


def replaced(request: Kind, values: Mapping[Option, Any]) -> Kind:
    """A request with some other values."""
    changes: dict[str, Any] = {}
    for o, value in values.items():
        if len(o.path) == 1:
            changes[o.path[0]] = value
        else:
            part = changes.get(o.path[0], getattr(request, o.path[0]))
            changes[o.path[0]] = dataclasses.replace(part, **{o.path[1]: value})
    return dataclasses.replace(request, **changes)  # type: ignore[type-var]


def is_given(value: Any) -> bool:
    """Was an option given? A weight or a seed of 0 is."""
    return value is not None and value is not False and not (isinstance(value, (list, tuple)) and not value)


def given(request: Any) -> tuple[Option, ...]:
    """The options that have a value: those that were given, and those whose default is one."""
    return tuple(o for o in options(type(request)) if is_given(o.of(request)))


def words(request: Any) -> list[str]:
    """The words of a command line that asks for the same, its arguments first."""
    named: list[str] = []
    arguments: list[str] = []
    for o in options(type(request)):
        value = o.of(request)
        if not o.flags or value is None or value == o.default:
            continue
        if isinstance(value, bool):
            named.append(o.flag if value else o.flags[-1].partition("/")[2])
            continue
        listed = value if isinstance(value, (list, tuple)) else [value]
        times = [[str(each)] for each in listed] if o.texts is None else o.texts(value)
        if o.flags == (ARGUMENT,):
            arguments += [f"./{word}" if word.startswith("-") else word for each in times for word in each]
        else:
            named += [word for each in times for word in (o.flag, *each)]
    return arguments + named


def check(request: Any) -> None:
    """Refuse words that are none of the choices, numbers that none can be, and options that exclude each other; raises
    UsageError."""
    groups: dict[str, list[str]] = {}
    for o in options(type(request)):
        value = o.of(request)
        if not is_given(value):
            continue
        if o.choices and value not in o.choices:
            raise UsageError(f"{o.flag} {shown(value)} is not one of {', '.join(o.choices)}")
        _check_number(o, value)
        if o.group:
            groups.setdefault(o.group, []).append(o.flag)
    for flags in groups.values():
        if len(flags) > 1:
            raise UsageError(f"{' and '.join(flags)} exclude each other; give one of them")


def _check_number(o: Option, value: Any) -> None:
    """Refuse what is not finite, or out of an option's limits; raises UsageError."""
    if isinstance(value, bool) or not isinstance(value, (Integral, float)):
        return
    number: Any = value
    low, high = -LARGEST_NUMBER if o.low is None else o.low, LARGEST_NUMBER if o.high is None else o.high
    if not low <= number <= high:
        finite = isinstance(value, Integral) or math.isfinite(value)
        allowed = f"a number from {low} to {high}" if finite else "a finite number"
        raise UsageError(f"{o.flag} {shown(value)} is not {allowed}")


def recorded(request: Any, section: str, **resolved: Any) -> dict[str, Any]:
    """What one section of the record keeps of a request; sparse ones and those without a flag only where they have a
    value.

    resolved: values that take the place of what was given, such as a default that depends on the picture.
    """
    values = {o: o.of(request) for o in options(type(request)) if o.section == section}
    values = {o: value for o, value in values.items() if (o.flags and not o.sparse) or value is not None}
    return {**{o.name: bool(value) if o.stored is bool else value for o, value in values.items()}, **resolved}


def sound(kind: type, record: Mapping[str, Any]) -> bool:
    """May all values that a record keeps for a request have come from its options? Any may be missing."""
    parts: dict[str | None, Any] = {o.section: record.get(o.section) for o in options(kind) if o.section}
    parts[""] = record
    if not all(isinstance(part, dict) for part in parts.values()):
        return False
    kept = ((o, parts[o.section].get(o.name)) for o in options(kind) if o.section is not None)
    return all(value is None or _possible(o, value) for o, value in kept)


def _possible(o: Option, value: Any) -> bool:
    """Can this be the value of an option? A number is no switch, and a switch no number."""
    if type(value) is not o.stored or (o.choices and value not in o.choices):
        return False
    if isinstance(value, list):
        return len(value) <= LONGEST_LIST and all(item is None or _is_plain(item) for item in value)
    if isinstance(value, dict):
        return len(value) <= LONGEST_LIST and all(map(_is_plain, (*value, *value.values())))
    lowest: Any = value if o.low is None else o.low
    return _is_plain(value) and bool(value >= lowest)


def _is_plain(value: Any) -> bool:
    """Is this a switch, a word or two, or a number that fits into 64 bits and is not infinite?"""
    if isinstance(value, str):
        return len(value) <= LONGEST_WORD and value.isprintable()
    return isinstance(value, (bool, int, float)) and abs(value) < LARGEST_NUMBER


def recalled(request: Any, record: Mapping[str, Any], files: Files) -> Any:
    """A request with the values of a recorded run where none were given. An option that excludes others, or belongs to
    another way of the verb than was asked for, is left alone."""
    every = options(type(request))
    settled = {o.group for o in every if o.group and is_given(o.of(request))}
    ways = {o.ways[0] for o in every if len(o.ways) == 1 and is_given(o.of(request))}
    values: dict[Option, Any] = {}
    for o in every:
        if o.of(request) is not None or o.group in settled or len(o.path) > 1 or o.name in type(request).FORGOTTEN:
            continue
        if ways and o.ways and not ways & set(o.ways):
            continue
        if o.role.endswith(":"):
            roles = dict.fromkeys(entry["role"] for entry in record["inputs"] if entry["role"].startswith(o.role))
            values[o] = {role.removeprefix(o.role): files(role) for role in roles} or None
        elif o.role:
            paths = files(o.role)
            values[o] = (paths if o.stored is list else o.stored(paths[0])) if paths else None
        elif o.section is not None:
            values[o] = (record if o.section == "" else record[o.section]).get(o.name, o.absent)
    parts = dict.fromkeys(o.path[0] for o in every if len(o.path) > 1)
    recalled_parts = {name: getattr(request, name).recalled(record, files, request) for name in parts}
    return dataclasses.replace(replaced(request, values), **recalled_parts)


def exactly(count: int, files: Sequence[str]) -> Sequence[str]:
    """The files that a role has in a record that is whole; raises InputError."""
    if len(files) != count:
        raise InputError(f"--from: the record names {len(files)} maps where its guides need {count}; it is damaged")
    return files


def reads(request: Any) -> list[Path | str]:
    """Every file and folder that the options of a request name, and the words that may stand for one."""
    return [file for o in options(type(request)) if o.role for file in _named(o.of(request))]


def _named(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return _named(list(value.values()))
    if isinstance(value, (list, tuple)):
        return [file for item in value for file in _named(item)]
    return [] if value is None else [value]
