"""What every run takes beside the work of its methods: the process, the inputs, and the result with its files.

The constants are fitted to the runs of benchmarks/estimates.py.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from texsynth.image import scratch
from texsynth.image.picture import Picture
from texsynth.job import Job, Layer
from texsynth.runs import machine
from texsynth.task import Task

PROCESS = machine.resident()  # when Python and PyTorch are loaded, and nothing is read yet
LIBRARIES = 90 << 20  # what PyTorch and the codecs load and reserve when they begin to work
TRAINING = 130 << 20  # the same where networks are trained
START, WRITING = 1.45, 2e-8  # seconds until Python and PyTorch are loaded; for each sample of a file
SEAM, SPREADING, UNEVEN = 2.4e-6, 7e-8, 6e-7  # seconds of a seam, of a pixel on average, and of one beside a hole
USUAL_SEAMS = 0.08  # of a pixel
FIELD_BYTES = 24  # of a pixel of a finished field and its picture
ENCODING = 4  # copies of a file that are there at once while it is encoded
# Bytes of a pixel where a format is encoded as a whole, measured at 8192x8192.
ENCODED = {"JPEG": 13, "WebP": 26, "TGA": 20, "HDR": 28}


def base(tensors: Iterable[Tensor]) -> int:
    """The bytes of a process that has read its inputs, as far as they are held, each counted once."""
    stored = (tensor.untyped_storage() for tensor in tensors if tensor.device.type == "cpu")
    sizes = {part.data_ptr(): part.nbytes() for part in stored}
    return PROCESS + LIBRARIES + sum(size for address, size in sizes.items() if not scratch.is_mapped(address))


def parts(picture: Picture | None) -> list[Tensor]:
    """The tensors of a picture."""
    return [] if picture is None else [part for part in (picture.pixels, picture.alpha) if part is not None]


def inputs(job: Job) -> list[Tensor]:
    """The tensors that a job holds from its start to its end."""
    task, layers = job.task, (job.image, *job.maps.values())
    pictures = [part for layer in layers for picture in layer.pictures for part in parts(picture)]
    return pictures + of_task(task)


def of_task(task: Task) -> list[Tensor]:
    """The tensors of a task."""
    exemplars = [part for each in task.exemplars for part in (each.image, each.valid, each.further)]
    guides = [part for guide in task.guides for part in (*guide.sources, guide.target, guide.strength)]
    others = [task.init, task.hole, task.core, task.start, task.blend]
    networks = [each for weights in task.weights.values() for each in weights.tensors.values()]
    networks += [] if task.model is None else task.model.tensors.values()
    return [part for part in (*exemplars, *guides, *others, *networks) if part is not None]


def result(job: Job, size: tuple[int, int]) -> int:
    """The bytes of a result of `size` beside its solver's, while the largest of its files is encoded."""
    layers, pixels = (job.image, *job.maps.values()), size[0] * size[1]
    held = FIELD_BYTES + 4 * sum(layer.planes for layer in layers)
    return pixels * (held + ENCODING * max(_stored(layer) for layer in layers))


def writing(job: Job, size: tuple[int, int]) -> float:
    """The seconds that it takes to copy and to write a result of `size`."""
    return WRITING * size[0] * size[1] * sum(_stored(layer) for layer in (job.image, *job.maps.values()))


def evening(task: Task, seams: int | None = None) -> float:
    """The seconds that it takes to even out the tone of a field. seams: the pairs of neighbours that are none in the
    exemplar; on average unless they are given."""
    pixels = task.size[0] * task.size[1]
    alone = 4 / 3 if torch.get_num_threads() == 1 else 1.0
    spreading = SPREADING if task.hole is None and task.start is None else UNEVEN
    return 0.03 + alone * (SEAM * (USUAL_SEAMS * pixels if seams is None else seams) + spreading * pixels)


def _stored(layer: Layer) -> int:
    """The bytes of a pixel of the output in the file of a layer, uncompressed."""
    return layer.planes * np.dtype(layer.pictures[0].depth).itemsize
