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

    def place(index: int, loss: float) -> tuple[float, float]:
        x = LEFT + (index + 0.5) / len(points) * (WIDTH - LEFT - RIGHT)
        return x, TOP + (high - loss) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [_axes(low, high)]
    for (stage, level), entries in groupby(enumerate(losses), key=lambda pair: (pair[1][0], pair[1][1])):
        indices = [index for index, _ in entries]
        marks = [place(*points[index]) for index in indices if math.isfinite(points[index][1])]
        parts.append(_level(f"{stage}, level {level}", indices, marks, len(points)))
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="loss by step">{"".join(parts)}</svg>'


def course(points: Sequence[tuple[int, float]], name: str) -> str:
    """One value over the steps of a training, as (step, value) -> an <svg>, or nothing where none is finite."""
    finite = [(step, value) for step, value in points if math.isfinite(value)]
    if not finite:
        return ""
    last = max(step for step, _ in finite)
    low, high = min(0.0, *(value for _, value in finite)), max(1e-9, *(value for _, value in finite))
    marks = [
        (LEFT + step / last * (WIDTH - LEFT - RIGHT), TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM))
        for step, value in finite
    ]
    path = "".join(f"{'L' if number else 'M'}{x:.1f} {y:.1f}" for number, (x, y) in enumerate(marks))
    label = f"{html.escape(name)}, to step {last}"
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(name)} by step">{_axes(low, high)}'
        f'<path class="curve" d="{path}"/>'
        f'<text x="{WIDTH / 2}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{label}</text></svg>'
    )


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
    path = "".join(f"{'L' if number else 'M'}{x:.1f} {y:.1f}" for number, (x, y) in enumerate(marks))
    dots = "".join(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in marks)
    label = name if end - start > 7 * len(name) else name.rsplit(" ", 1)[-1]
    middle = (start + end) / 2
    return (
        f'<path class="axis" d="M{end:.1f} {TOP}V{HEIGHT - BOTTOM}"/><path class="curve" d="{path}"/>{dots}'
        f'<text x="{middle:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{html.escape(label)}</text>'
    )
