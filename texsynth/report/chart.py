"""The course of the loss as inline SVG."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any

WIDTH, HEIGHT = 720, 240
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 12, 44


def curve(losses: Sequence[Sequence[Any]]) -> str:
    """Losses as (stage, level, step, loss), in order -> an <svg>, or nothing when no loss is finite.

    Levels are separate curves: they are measured on pictures of different size, so jumps mean little.
    """
    points = [(index, float(entry[3])) for index, entry in enumerate(losses)]
    finite = [loss for _, loss in points if math.isfinite(loss)]
    if not finite:
        return ""
    low, high = min(0.0, *finite), max(*finite, 1e-9)
    marks = {
        i: _place((i + 0.5) / len(points), (high - loss) / (high - low)) for i, loss in points if math.isfinite(loss)
    }
    parts = [_axes(low, high)]
    for (stage, level), entries in groupby(enumerate(losses), key=lambda pair: (pair[1][0], pair[1][1])):
        indices = [index for index, _ in entries]
        here = [marks[index] for index in indices if index in marks]
        parts.append(_level(f"{stage}, level {level}", indices, here, len(points)))
    return _svg("loss by step", *parts)


def course(points: Sequence[tuple[int, float]], name: str) -> str:
    """One value over the steps of a training, as (step, value) -> an <svg>, or nothing where none is finite."""
    finite = [(step, value) for step, value in points if math.isfinite(value)]
    if not finite:
        return ""
    last = max(step for step, _ in finite)
    low, high = min(0.0, *(value for _, value in finite)), max(1e-9, *(value for _, value in finite))
    marks = [_place(step / last, (high - value) / (high - low)) for step, value in finite]
    return _svg(f"{name} by step", _axes(low, high), _curve(marks), _name(f"{name}, to step {last}", WIDTH / 2))


def _axes(low: float, high: float) -> str:
    """A frame and three labelled heights."""
    lines = []
    for share in (0.0, 0.5, 1.0):
        y = TOP + share * (HEIGHT - TOP - BOTTOM)
        lines.append(f'<path class="axis" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        lines.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{high - share * (high - low):.3g}</text>')
    return "".join(lines)


def _level(name: str, indices: list[int], marks: list[tuple[float, float]], count: int) -> str:
    """One level's curve, its name below, and a line where it ends."""
    step = (WIDTH - LEFT - RIGHT) / count
    start, end = LEFT + indices[0] * step, LEFT + (indices[-1] + 1) * step
    dots = "".join(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in marks)
    label = name if end - start > 7 * len(name) else name.rsplit(" ", 1)[-1]
    end_line = f'<path class="axis" d="M{end:.1f} {TOP}V{HEIGHT - BOTTOM}"/>'
    return f"{end_line}{_curve(marks)}{dots}{_name(label, (start + end) / 2)}"


def _place(across: float, down: float) -> tuple[float, float]:
    """The point at these shares of the width and the height between the axes."""
    return LEFT + across * (WIDTH - LEFT - RIGHT), TOP + down * (HEIGHT - TOP - BOTTOM)


def _svg(label: str, *parts: str) -> str:
    label = html.escape(label)
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def _curve(marks: Sequence[tuple[float, float]]) -> str:
    path = "".join(f"{'L' if number else 'M'}{x:.1f} {y:.1f}" for number, (x, y) in enumerate(marks))
    return f'<path class="curve" d="{path}"/>'


def _name(text: str, x: float) -> str:
    return f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{html.escape(text)}</text>'
