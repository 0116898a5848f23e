"""What a material is compared by beside its colours: the maps that follow, weighed against these.

A seam that colours hide shows in another light if height and normals break at it, so pieces, cuts and windows are
compared by all maps together (Substance Designer's Smart Auto Tile cuts by base colour, normal and height, too). A map
of weight 1 counts as much as the colours: its variance over all channels is then theirs. Labels and masks never count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.image import holes, rows
from texsynth.image.load import NORMAL_DX, NORMALS
from texsynth.image.picture import Picture
from texsynth.material.roles import HEIGHT, NORMAL, role_of
from texsynth.task import Exemplar

WEIGHTS = {NORMAL: 0.3, HEIGHT: 0.3}  # of maps by their role; of others 0
MOST_CHANNELS = 3  # that are compared beside the colours; of more, their principal components are
FAINTEST = (2 / 255) ** 2  # variance of a channel, below which it is noise or rounding
LARGEST = 4.0  # standard deviations of a map, to which what is rarer is clipped, or it would coarsen all steps
LINES = 256  # of a picture, at most, that are looked at for its variance
ALL = "all"  # in place of a name: all maps that are not named
DIGITS = 5  # of what is measured, so that the order of sums does not show


@dataclass(frozen=True)
class Weighed:
    """A map with its weight: one picture for each exemplar, and how many times as fine as these they are. Coarser ones
    have the exemplars' size. kind: that of its values, as of a layer."""

    pictures: tuple[Picture, ...]
    kind: str
    scale: Fraction
    weight: float


@dataclass(frozen=True)
class _Mixture:
    """How the M channels of all maps become the K that are compared: mix (K, M) of what they differ from the centre by,
    (M,). vectors: how many pairs of the first K are vectors."""

    mix: Tensor
    centre: Tensor
    limit: Tensor
    vectors: int

    def of(self, channels: Tensor) -> Tensor:
        """Channels (1, M, h, w) mixed, (1, K, h, w)."""
        apart = channels - self.centre[:, None, None]
        mixed = torch.zeros(1, len(self.mix), *channels.shape[2:])
        for number, weights in enumerate(self.mix.tolist()):  # no product of matrices, whose sums may have any order
            for channel, weight in enumerate(weights):
                if weight:
                    mixed[:, number] += weight * apart[:, channel]
        limit = self.limit[:, None, None]
        return torch.minimum(torch.maximum(mixed, -limit), limit)


def usual_weight(name: str, kind: str) -> float:
    """The weight of a map of this name, whose values are of this kind, where nobody says another."""
    if kind in NORMALS:
        return WEIGHTS[NORMAL]
    role = role_of(name)
    return 0.0 if role is None or kind == "labels" else WEIGHTS.get(role.name, 0.0)


def with_maps(exemplars: Sequence[Exemplar], maps: Sequence[Weighed]) -> tuple[Exemplar, ...]:
    """The exemplars with what is compared beside their colours: the maps of a weight above 0."""
    some = [each for each in maps if each.weight > 0]
    some.sort(key=lambda each: each.kind not in NORMALS)  # vectors come first
    if not some:
        return tuple(exemplars)
    mixture = _mixture(exemplars, some)
    return tuple(_with(exemplar, number, some, mixture) for number, exemplar in enumerate(exemplars))


def _with(exemplar: Exemplar, number: int, maps: Sequence[Weighed], mixture: _Mixture) -> Exemplar:
    shape = (1, len(mixture.mix), *exemplar.size)
    sources = [each.pictures[number].pixels for each in maps]
    further = rows.composed(shape, lambda top, bottom: mixture.of(_channels(maps, number, top, bottom)), *sources)
    if exemplar.valid is not None:
        further = holes.smooth(further, ~exemplar.valid)
    return replace(exemplar, further=further, vectors=mixture.vectors)


def _channels(maps: Sequence[Weighed], number: int, top: int, bottom: int) -> Tensor:
    """The rows of an exemplar from `top` to before `bottom` of all maps, (1, M, h, w): of normals x and y, y down."""
    parts = []
    for each in maps:
        cell = each.scale.numerator
        values = each.pictures[number].pixels[:, :, cell * top : cell * bottom]
        if each.kind in NORMALS:
            values = values[:, :2]
            values = values if each.kind == NORMAL_DX else torch.cat([values[:, :1], 1 - values[:, 1:]], 1)
        parts.append(F.avg_pool2d(values, cell) if cell > 1 else values)
    return torch.cat(parts, 1)


def _mixture(exemplars: Sequence[Exemplar], maps: Sequence[Weighed]) -> _Mixture:
    """Each map's channels times the root of its weight and of the variance of the colours over its own; then scalars on
    their principal directions, where they are more than there is room for."""
    colours, channels = _looked_at(exemplars, maps)
    unit = max(float(colours.var(0, unbiased=False).sum()), 3 * FAINTEST)
    vectors, centre = sum(each.kind in NORMALS for each in maps), channels.mean(0)
    centre[: 2 * vectors] = 0.5  # round which they turn
    variance, gains = (channels - centre).square().mean(0), list[float]()
    for each in maps:
        count = 2 if each.kind in NORMALS else each.pictures[0].channels
        part = variance[len(gains) : len(gains) + count]
        gains += [(each.weight * unit / max(float(part.sum()), count * FAINTEST)) ** 0.5] * count
    mix = torch.diag(torch.tensor(gains, dtype=torch.float64))
    room = max(1, MOST_CHANNELS - 2 * vectors)
    if len(mix) - 2 * vectors > room:
        scalars = (channels - centre)[:, 2 * vectors :] * torch.tensor(gains[2 * vectors :], dtype=torch.float64)
        main = _directions(scalars, room) @ mix[2 * vectors :]
        mix = torch.cat([mix[: 2 * vectors], main])
    spread = ((channels - centre) @ mix.T).square().mean(0).sqrt()
    spread[: 2 * vectors] = spread[: 2 * vectors].view(-1, 2).amax(1).repeat_interleave(2)
    mix, centre, limit = (_rounded(each) for each in (mix, centre, LARGEST * spread))
    return _Mixture(mix, centre, limit, vectors)


def _looked_at(exemplars: Sequence[Exemplar], maps: Sequence[Weighed]) -> tuple[Tensor, Tensor]:
    """The colours (n, 3) and the channels of all maps (n, M) at some pixels, of these at those that may be copied if
    there are any; double."""
    lines, usable = [], []
    for number, exemplar in enumerate(exemplars):
        for y in range(0, exemplar.size[0], -(-exemplar.size[0] // LINES)):
            both = torch.cat([exemplar.image[:, :, y : y + 1], _channels(maps, number, y, y + 1)], 1)
            lines.append(both[0, :, 0].T.double())
            usable.append(torch.ones(len(lines[-1])) > 0 if exemplar.valid is None else exemplar.valid[0, 0, y])
        rows.release(exemplar.image, *(each.pictures[number].pixels for each in maps))
    values, chosen = torch.cat(lines), torch.cat(usable)
    values = values[chosen] if chosen.any() else values
    return values[:, :3], values[:, 3:]


def _directions(values: Tensor, count: int) -> Tensor:
    """The first principal directions of values (n, S), each with its largest component above 0: (count, S)."""
    vectors = torch.linalg.eigh(values.T @ values / len(values))[1].T.flip(0)[:count]
    largest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True))
    directions: Tensor = vectors * largest.sign()
    return directions


def _rounded(values: Tensor) -> Tensor:
    """Numbers to so many digits of the largest of them, which shows no order of sums, as float32."""
    unit = 10.0 ** (torch.log10(values.abs().max().clamp(min=1e-9)).floor() - DIGITS)
    return ((values / unit).round() * unit).float()


def weights_of(layers: Mapping[str, str], asked: Mapping[str, float]) -> dict[str, float]:
    """The weight of each map, whose kinds `layers` has by name: that which is asked for, else that for ALL others, else
    the usual one."""
    rest = asked.get(ALL)
    return {
        name: asked.get(name, usual_weight(name, kind) if rest is None else rest if kind != "labels" else 0.0)
        for name, kind in layers.items()
    }
