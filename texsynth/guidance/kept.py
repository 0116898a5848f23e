"""What guides read out of exemplars, kept from one run to the next by a process that asks for it, such as the studio's:
there a stroke changes the target alone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

from torch import Tensor

from texsynth.image.load import fingerprint

Reading = TypeVar("Reading")


@dataclass
class Readings:
    """The last readings, of at most `room` bytes, by what was read and how."""

    room: int
    values: OrderedDict[tuple[Any, ...], Any] = field(default_factory=OrderedDict)

    def put(self, key: tuple[Any, ...], value: Any) -> None:
        self.values[key] = value
        while sum(map(_size, self.values.values())) > self.room:
            self.values.popitem(last=False)


_readings: ContextVar[Readings | None] = ContextVar("readings", default=None)


@contextmanager
def within(readings: Readings) -> Iterator[None]:
    """Inside, nothing is read again that is among these readings."""
    token = _readings.set(readings)
    try:
        yield
    finally:
        _readings.reset(token)


def once(read: Callable[..., Reading], image: Tensor, *how: Any) -> Reading:
    """What is read out of a picture (1, C, H, W) on the processor: tensors, which nobody changes, and words."""
    readings = _readings.get()
    if readings is None:
        return read(image, *how)
    key = read.__qualname__, fingerprint(image), *how
    value: Reading = readings.values.pop(key) if key in readings.values else read(image, *how)
    readings.put(key, value)
    return value


def _size(value: Any) -> int:
    """The bytes of the tensors in a reading."""
    return sum(part.nbytes for part in (value if isinstance(value, tuple) else (value,)) if isinstance(part, Tensor))
