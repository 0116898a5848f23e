"""The native core: loops of the solver in C++ (native/), each a twin of tensor operations that give the same bytes.

It is optional. Without a compiler, with TEXSYNTH_NATIVE=0, and for tensors that are not on the processor, the tensor
operations run: the pictures are the same and take longer.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor

VERSION = 14  # of the arguments of the kernels: a core that was built for other ones is not used
SWITCH = "TEXSYNTH_NATIVE"


def kernel(name: str, *tensors: Tensor) -> Callable[..., Any] | None:
    """The native twin of this name, for as many threads as PyTorch has; None where tensor operations have to do it:
    without the core, or where one of `tensors` is not contiguous, not on the processor, or of another precision."""
    module = core()
    if module is None or not all(_is_plain(tensor) for tensor in tensors):
        return None
    return partial(getattr(module, name), torch.get_num_threads())


def _is_plain(tensor: Tensor) -> bool:
    usual = torch.float32 if tensor.is_floating_point() else tensor.dtype
    return tensor.device.type == "cpu" and tensor.is_contiguous() and tensor.dtype == usual and not tensor.requires_grad


def core() -> Any:
    """The compiled module; None where there is none that can be used."""
    return loaded()[0]


def describe() -> str:
    """Whether the native core is used, with which instruction set and how many threads, or why not."""
    module, problem = loaded()
    return problem if module is None else f"{module.instructions()}, {torch.get_num_threads()} threads"


@cache
def loaded() -> tuple[Any, str]:
    """The compiled module, or None and the reason."""
    if os.environ.get(SWITCH) == "0":
        return None, f"switched off by {SWITCH}=0"
    try:
        module = importlib.import_module("texsynth.native._core")
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError)
        return None, "not built: slower, same pictures" if missing else f"cannot be loaded: {error}"
    if module.VERSION != VERSION:
        return None, "out of date: install texsynth again"
    return module, ""
