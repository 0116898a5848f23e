"""The geometry of turned copies: how offsets and vectors turn with a copy, and values between pixels.

Angles are radians clockwise on screen: from the x axis, which points right, towards the y axis, which points down.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from texsynth import native


def rotated(angle: Tensor, offset: Tensor) -> Tensor:
    """Offsets (..., 2) as (y, x), turned by `angle` (...)."""
    return turned(heading(angle), offset)


def heading(angle: Tensor) -> Tensor:
    """The turns by `angle` (...) as unit vectors (..., 2), (cosine, sine): so what follows takes no trigonometry, whose
    last bit is another one in every library."""
    return torch.stack([angle.cos(), angle.sin()], -1)


def turned(turn: Tensor, offset: Tensor) -> Tensor:
    """Offsets (..., 2) as (y, x), turned by the unit vectors `turn` (..., 2)."""
    (cos, sin), (y, x) = turn.unbind(-1), offset.unbind(-1)
    return torch.stack([sin * x + cos * y, cos * x - sin * y], -1)


def turned_back(turn: Tensor, offset: Tensor) -> Tensor:
    """Offsets (..., 2) as (y, x), turned the other way round."""
    (cos, sin), (y, x) = turn.unbind(-1), offset.unbind(-1)
    return torch.stack([cos * y - sin * x, cos * x + sin * y], -1)


def turn_between(one: Tensor, other: Tensor) -> Tensor:
    """The turn that leads from one unit vector (..., 2) to the other."""
    (x, y), (to_x, to_y) = one.unbind(-1), other.unbind(-1)
    return torch.stack([x * to_x + y * to_y, x * to_y - y * to_x], -1)


def face_away(one: Tensor, other: Tensor) -> Tensor:
    """Do vectors (..., 2) point to opposite sides, (...) bool?"""
    (x, y), (other_x, other_y) = one.unbind(-1), other.unbind(-1)
    return x * other_x + y * other_y < 0


def facing(turn: Tensor, before: Tensor) -> Tensor:
    """Of each unit vector (..., 2) and its opposite the one nearer to `before` (..., 2)."""
    return torch.where(face_away(turn, before)[..., None], -turn, turn)


def rotated_normals(normals: Tensor, angle: Tensor, down: bool = False) -> Tensor:
    """Tangent-space vectors (1, C, h, w), encoded in [0, 1], turned by `angle` (h, w). down: does their y point down
    (DirectX), and not up (OpenGL)?"""
    cos, sin = angle.cos().to(normals), (-angle if down else angle).sin().to(normals)
    x, y = normals[:, 0] - 0.5, normals[:, 1] - 0.5
    out = normals.clone()
    out[:, 0], out[:, 1] = 0.5 + cos * x + sin * y, 0.5 + cos * y - sin * x
    return out


def moved_normals(normals: Tensor, copy: Tensor, moves: Sequence[tuple[int, bool]], down: bool = False) -> Tensor:
    """Encoded vectors (1, C, h, w), each moved as the copy (h, w) that it comes from: by which of the `moves` (quarter
    turns counter-clockwise, mirrored first?). It is exact, as right angles only swap and invert channels (1 - v). down
    as for `rotated_normals`."""
    out = normals.clone()
    for number, (turns, mirrored) in enumerate(moves):
        x, y = normals[:, 0], normals[:, 1]
        if mirrored:
            x = 1 - x
        for _ in range(turns):  # counter-clockwise: (x, y) -> (-y, x) with y up, (y, -x) with y down
            x, y = (y, 1 - x) if down else (1 - y, x)
        here = (copy == number)[None]
        out[:, 0], out[:, 1] = torch.where(here, x, out[:, 0]), torch.where(here, y, out[:, 1])
    return out


def cubic(table: Tensor, row: int, first: Tensor, part: Tensor) -> Tensor:
    """Values (n, C) between pixels, by the cubic of Keys 1981 ("Cubic convolution interpolation for digital image
    processing"; Catmull-Rom), kept between the four pixels around so that nothing rings.

    table: (N, C) float, pixels of a picture with `row` pixels a line. first: (n,) int64, the pixel up and left of each
    place. part: (n, 2) in [0, 1), the fractions of a pixel down and right of it.
    """
    if twin := native.kernel("cubic", table, first, part):
        values: Tensor = twin(table, row, first, part)
        return values
    (wy, wx), last = (_keys_weights(t) for t in part.to(table.dtype).unbind(1)), len(table) - 1
    out = torch.zeros(len(first), table.shape[1], dtype=table.dtype, device=table.device)
    low, high = torch.full_like(out, torch.inf), torch.full_like(out, -torch.inf)
    for dy in range(4):
        for dx in range(4):
            value = table[(first + (dy - 1) * row + dx - 1).clamp(0, last)]
            weight = (wy[dy] * wx[dx])[:, None]
            out += weight * value
            if dy in (1, 2) and dx in (1, 2):
                low, high = torch.minimum(low, value), torch.maximum(high, value)
    return torch.minimum(torch.maximum(out, low), high)


def _keys_weights(t: Tensor) -> list[Tensor]:
    """The weights of the four pixels around, for the fraction t (n,) past the second (Keys 1981, a = -1/2)."""
    return [
        ((2 - t) * t - 1) * t / 2,
        ((3 * t - 5) * t * t + 2) / 2,
        ((4 - 3 * t) * t + 1) * t / 2,
        (t - 1) * t * t / 2,
    ]
