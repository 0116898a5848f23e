"""synthesize: more of one exemplar, or a remix of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor

from texsynth import image, light
from texsynth.errors import InputError, UsageError
from texsynth.image import Picture
from texsynth.job import Input, Job, Layer
from texsynth.task import Exemplar, Task
from texsynth.verbs import inputs, values
from texsynth.verbs.inputs import Note, Source


@dataclass(frozen=True)
class Request:
    """What was asked for, in the words of the command line; maps and masks: one for each exemplar."""

    exemplars: tuple[Source, ...]
    size: str | int = "2x"
    tile: str = "none"
    maps: Mapping[str, Sequence[Source]] = field(default_factory=dict)
    source_mask: Sequence[Source] = ()
    crop: str | Sequence[int] | None = None
    init: Source | None = None
    flatten: bool = False
    device: str = "auto"
    max_memory: str | int = "6G"


def build(request: Request) -> Job:
    """Read and check everything; raises UsageError, InputError or ResourceError."""
    notices: list[str] = []
    note = notices.append
    device, memory = values.device(request.device), values.memory(request.max_memory)
    wrap = values.tile(request.tile)
    box = None if request.crop is None else values.crop(request.crop)
    _check_counts(request)

    read = [inputs.load(source, "exemplar") for source in request.exemplars]
    sizes = [inputs.extent(picture) for picture, _ in read]
    named = [(inputs.cropped(picture, box, entry.name), entry.name) for picture, entry in read]
    for picture, name in named:
        image.check_exemplar_size(picture, name)
    pictures = inputs.alike([_lit(p, name, request.flatten, note) for p, name in named], "the exemplars", note)
    masks, mask_inputs = _masks(request, sizes, box, note)
    maps, map_inputs = _maps(request, sizes, box, note)
    size = values.size(request.size, inputs.extent(pictures[0]))
    init, init_inputs = _init(request, size, note)

    names = [name for _, name in named]
    exemplars = tuple(Exemplar(*each) for each in zip(names, inputs.matching(pictures), masks, strict=True))
    return Job(
        verb="synthesize",
        task=Task(exemplars, size, wrap, init, device, memory),
        image=Layer(pictures),
        maps=maps,
        inputs=(*(entry for _, entry in read), *mask_inputs, *map_inputs, *init_inputs),
        values={
            "size": f"{size[1]}x{size[0]}",
            "tile": request.tile,
            "crop": None if box is None else ",".join(map(str, box)),
            "flatten": request.flatten,
        },
        notices=tuple(notices),
    )


def _check_counts(request: Request) -> None:
    exemplars = len(request.exemplars)
    if not exemplars:
        raise UsageError("at least one exemplar is needed")
    for name, sources in request.maps.items():
        inputs.per_exemplar(sources, exemplars, f"--map {name}")
    if request.source_mask:
        inputs.per_exemplar(request.source_mask, exemplars, "--source-mask")


def _lit(picture: Picture, name: str, flatten: bool, note: Note) -> Picture:
    """The exemplar with its slow illumination evened out, when asked."""
    if not flatten:
        return picture
    even, message = light.flatten(picture.pixels[:, :3].expand(-1, 3, -1, -1))
    note(f"{name}: {message}")
    return replace(picture, pixels=even[:, : picture.pixels.shape[1]])


def _masks(
    request: Request, sizes: list[tuple[int, int]], box: inputs.Box | None, note: Note
) -> tuple[list[Tensor | None], list[Input]]:
    """What may be copied, (1, 1, H, W) bool for each exemplar; InputError when a mask leaves nothing."""
    masks: list[Tensor | None] = []
    entries = []
    for source, size in zip(request.source_mask, sizes, strict=False):
        picture, entry = inputs.load(source, "source-mask")
        whole = inputs.stretched(picture, size, "data", entry.name, note)
        mask = inputs.usable(inputs.cropped(whole, box, entry.name))
        if not mask.any():
            where = "" if box is None else " inside the crop"
            raise InputError(f"{entry.name}: the mask leaves nothing to copy from{where}; white means usable")
        masks.append(mask)
        entries.append(entry)
    return masks or [None] * len(sizes), entries


def _maps(
    request: Request, sizes: list[tuple[int, int]], box: inputs.Box | None, note: Note
) -> tuple[dict[str, Layer], list[Input]]:
    """Every named map as a layer of the exemplars' sizes."""
    layers, entries = {}, []
    for name, sources in request.maps.items():
        role = inputs.role_of(name)
        pictures = []
        for source, size in zip(sources, sizes, strict=True):
            picture, entry = inputs.load(source, f"map:{name}")
            whole = inputs.stretched(picture, size, role, entry.name, note)
            pictures.append(inputs.cropped(whole, box, entry.name))
            entries.append(entry)
        layers[name] = Layer(inputs.alike(pictures, f"the maps {name}", note), role)
    return layers, entries


def _init(request: Request, size: tuple[int, int], note: Note) -> tuple[Tensor | None, list[Input]]:
    if request.init is None:
        return None, []
    picture, entry = inputs.load(request.init, "init")
    fitted = inputs.stretched(picture, size, "colour", entry.name, note)
    return inputs.matching((fitted,))[0], [entry]
