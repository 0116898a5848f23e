"""A pretended device: programs run "on cuda" or "on mps" on a machine that has neither, and mistakes show.

    with PretendedDevice("cuda", watched=package_folder) as device:
        main(["synthesize", "a.png", "--device", "cuda"])
    device.errors    # what a device would have refused: [(call sites, message)], also where the program caught it
    device.waits     # Counter of (call sites, kind): where the host waits for the device, as for any blocking copy
    device.launches  # Counter of call sites: operations on the device that are no views, about one kernel each
    device.unsteady  # Counter of (call sites, operation): those whose result may differ from run to run on CUDA

All tensors stay tensors of the processor, and storages of the device carry a mark, so that autograd and modules work as
ever. A TorchFunctionMode answers `.device`, `.to` and `device=`; a TorchDispatchMode sees every operation of ATen, in
backward passes too. Refused are: tensors of both sides in one operation (except scalars of the processor in pointwise
operations, indices of the processor into tensors of the device, and copies), numpy() of a tensor of the device, a
generator of the processor for numbers that are made on the device, operations that have no kernel there (by
native_functions.yaml of the torch that runs), whole numbers in products and pools on CUDA, and float64 on MPS.

Not modelled are memory, streams, numerics (TF32, ties), limits of single kernels, bounds (CUDA asserts where the
processor raises IndexError), Generator("cuda"), default devices, torch.load, DLPack, tensor hooks that ask for
`.device`, other threads, and composite operations that take another path on a device.
"""

from __future__ import annotations

import functools
import importlib
import re
import sys
import types
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import yaml
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

# Names of operations, without the underscore at the end of those that work in place.
READING = {"nonzero", "masked_select", "_unique2", "unique_dim", "unique_consecutive", "bincount", "equal"}
READING |= {"multinomial", "repeat_interleave", "_linalg_check_errors", "_linalg_svd"}
CHECKED_ON_THE_PROCESSOR = {"one_hot", "quantile", "nanquantile"}  # these calls read values to check them only there
INDEXING = {"index", "index_put", "_index_put_impl", "_unsafe_index", "_unsafe_index_put"}
TAKING_SCALARS = {
    "where",
    "masked_fill",
    "fill",
    "index_fill",
    "clamp",
    "lerp",
}  # and all pointwise ones
ONLY_FLOATS = re.compile("(add|b|baddb|)(mm|mv)|dot|convolution|_cdist.*|.*upsample_bilinear.*|.*_pool2d.*")  # on CUDA
SUMMING = {"scatter_add", "index_add", "cumsum", "histc", "bincount"}  # of whole numbers in any order they are the same
UNSTEADY = re.compile(
    "scatter.*|index_(add|copy|put)|put|cumsum|histc|bincount|kthvalue|median"
    "|.*(grid|upsample|_pad|adaptive|max_pool|convolution).*backward"
)
FALLING_BACK = {"linalg_svd", "_linalg_svd", "embedding_renorm", "col2im"}  # MPS lets the processor do these
HOLDING = (Tensor, list, tuple, dict)  # what may be or hold tensors
NUMPY = "can't convert device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory first."
FLOAT64 = "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64."


class PretendedDevice(ExitStack):
    """A context in which one device of a kind exists.

    kind: "cuda" or "mps".
    watched: the folder whose lines count as call sites.
    strict: refuse what a device of either kind lacks, so that one run tells of both; for programs that do the same on
      both.
    """

    def __init__(self, kind: str = "cuda", watched: str | Path = "", strict: bool = False) -> None:
        super().__init__()
        self.device, self.watched = torch.device(kind, 0), str(watched or "nowhere")
        self.refusing = ("CUDA", "MPS") if strict else (kind.upper(),)
        self.errors: list[tuple[str, str]] = []
        self.waits: Counter[tuple[str, str]] = Counter()
        self.launches: Counter[str] = Counter()
        self.unsteady: Counter[tuple[str, str]] = Counter()
        self._call = ""  # the present call of the Python API
        self._inside: torch.device | None = None  # where C++ makes tensors of its own within that call
        self._special = self._special_calls()

    def __enter__(self) -> PretendedDevice:
        importlib.import_module("torch._dynamo")  # or the first operation does, with the changes below in force
        is_cuda = self.device.type == "cuda"
        card = types.SimpleNamespace(name="pretended", total_memory=16 << 30)
        node, calls, operations = torch.autograd.function.BackwardCFunction, _Calls(self), _Operations(self)
        plain, group = node.apply, torch._C._group_tensors_by_device_and_dtype

        def backward(of: Any, *gradients: Any) -> Any:  # of a custom Function: Python again, whose calls are watched
            with calls:
                return plain(of, *gradients)

        def grouped(lists: Any, indices: bool = False) -> Any:  # what optimisers group parameters by
            groups = group(lists, indices)
            first = {key: next(iter(tensors(members[0])), None) for key, members in groups.items()}
            return {(k[0] if t is None else place(t) or t.device, k[1]): groups[k] for k, t in first.items()}

        for owner, name, value in (
            (torch.cuda, "device_count", lambda: int(is_cuda)),
            (torch.cuda, "is_available", lambda: is_cuda),
            (torch.cuda, "is_current_stream_capturing", lambda: False),
            (torch.cuda, "synchronize", lambda *_: None),
            (torch.cuda, "get_device_properties", lambda *_: card),
            (torch.cuda, "get_device_name", lambda *_: card.name),
            (torch.cuda, "reset_peak_memory_stats", lambda *_: None),
            (torch.cuda, "max_memory_allocated", lambda *_: 0),
            (torch.backends.mps, "is_available", lambda: not is_cuda),
            (torch.accelerator, "is_available", lambda: False),
            (torch._C, "_group_tensors_by_device_and_dtype", grouped),
            (node, "apply", backward),
        ):
            self.enter_context(patch.object(owner, name, value))
        self.enter_context(calls)
        self.enter_context(operations)
        return self

    def sites(self) -> str:
        """The innermost line of the watched folder that runs now, and the line that called it."""
        frame, lines, start = sys._getframe(1), list[str](), len(self.watched)
        while frame is not None and len(lines) < 2:
            if (path := frame.f_code.co_filename).startswith(self.watched):
                lines.append(f"{path[start:].lstrip('/')}:{frame.f_lineno}")
            frame = frame.f_back
        return " < ".join(lines) or "elsewhere"

    def refuse(self, message: str, error: type[Exception] = RuntimeError) -> Any:
        """Note and raise what a device would have raised."""
        self.errors.append((self.sites(), message))
        raise error(message)

    def wait(self, kind: str) -> None:
        self.waits[self.sites(), kind] += 1

    def mark(self, tensor: Tensor, where: torch.device | None) -> Tensor:
        """Say that a tensor is on the device, or, by None, on the processor."""
        if where and "MPS" in self.refusing and tensor.dtype in (torch.float64, torch.complex128):
            self.refuse(FLOAT64, TypeError)
        tensor.untyped_storage()._pretended = where
        return tensor

    def _marked(self, out: Any, where: torch.device | None) -> Any:
        """The same, for all tensors that a call has given."""
        for tensor in tensors(out):
            self.mark(tensor, where)
        return out

    def move(self, tensor: Tensor, where: torch.device | None, blocking: bool = True) -> Tensor:
        """A copy of a tensor on that side; the tensor itself where it is there already."""
        source = place(tensor)
        if source == where or tensor.is_meta:
            return tensor
        if blocking:
            self.wait("upload" if where else "download")
        moved = self.mark(tensor.clone(), where)
        if moved.requires_grad:
            moved.register_hook(lambda gradient: self.move(gradient, source))
        return moved

    def call(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call of the Python API."""
        if func in self._special:
            return self._special[func](*args, **kwargs)
        before, self._call = (self._inside, self._call), getattr(func, "__name__", "")
        try:
            fresh = func in (torch.tensor, Tensor.new_tensor)
            wanted = kwargs.get("device", place(args[0]) if fresh and isinstance((*args, 0)[0], Tensor) else None)
            if wanted is None or torch.device(wanted).type not in ("cpu", self.device.type):
                self._inside = self.device if any(place(t) for t in tensors((args, kwargs))) else None
                return func(*args, **kwargs)
            self._inside = self.device if torch.device(wanted).type == self.device.type else None
            if self._inside:
                self._check_generator(kwargs.get("generator"))
            out = func(*args, **kwargs | {"device": "cpu"})
            if func in (torch.as_tensor, torch.asarray):  # may share memory with what it was called with
                return self.move(out, self._inside)
            if fresh and self._inside:
                self.wait("upload")
            return self._marked(out, self._inside)
        finally:
            self._inside, self._call = before

    def operation(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """An operation of ATen."""
        inputs, name = tensors((args, kwargs)), func._schema.name.split("::")[1].rstrip("_")
        where: torch.device | None = self.device
        if not any(map(place, inputs)):
            out, where = func(*args, **kwargs), None if inputs else self._inside
        elif name == "copy":
            if place(args[0]) != place(args[1]) and True not in args[2:]:
                self.wait("upload" if place(args[0]) else "download")
            return func(*args, **kwargs)
        else:
            self.launches[self.sites()] += not func.is_view
            for kind in self.refusing:
                if refused := without_kernel(kind, func, inputs[0].dtype):
                    self.refuse(refused, NotImplementedError)
            self._check_generator(kwargs.get("generator"))
            self._check_sides(func, name, args, inputs)
            self._note(name, args, kwargs)
            out = func(*args, **kwargs)
        return self._marked(out, where) if where else out

    def _note(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Note whether an operation waits, and whether its result may vary."""
        if name == "_local_scalar_dense" and self._call not in CHECKED_ON_THE_PROCESSOR:
            self.wait(f"item ({self._call})")
        elif name in READING and kwargs.get("output_size") is None:
            self.wait(name)
        if not may_vary(name):
            return
        sums = name in SUMMING or (name == "index_put" and True in args[3:])
        floats = any(tensor.is_floating_point() for tensor in tensors((args, kwargs)))
        steady = name == "index_put" if sums and floats else sums  # index_put sorts before it sums
        if not steady:
            self.unsteady[self.sites(), name] += 1

    def _special_calls(self) -> dict[Any, Callable[..., Any]]:
        """What answers in place of calls that know devices."""
        t = Tensor

        def numpy_of(tensor: Tensor, *args: Any, of: Any, **kwargs: Any) -> Any:
            return self.refuse(NUMPY, TypeError) if place(tensor) else of(tensor, *args, **kwargs)

        def is_of(tensor: Tensor, *, word: str) -> bool:
            return (place(tensor) or tensor.device).type == word

        special: dict[Any, Callable[..., Any]] = {
            t.device.__get__: lambda tensor, *_: place(tensor) or tensor.device,
            t.to: self._to,
            t.type_as: self._to,
            t.tolist: lambda tensor: self.move(tensor, None).tolist(),
            t.cpu: lambda tensor, **_: self.move(tensor, None),
            t.cuda: lambda tensor, *_, **__: self.move(tensor, self.device),
            t.numpy: functools.partial(numpy_of, of=t.numpy),
            t.__array__: functools.partial(numpy_of, of=t.__array__),
            t.__deepcopy__: lambda tensor, memo: self.mark(tensor.__deepcopy__(memo), place(tensor)),
        }
        for word, flag in (("cpu", t.is_cpu), ("cuda", t.is_cuda), ("mps", t.is_mps)):
            special[flag.__get__] = lambda tensor, *_, word=word: is_of(tensor, word=word)
        return special

    def _check_generator(self, rng: torch.Generator | None) -> None:
        if rng is not None and rng.device.type != self.device.type:
            self.refuse(f"Expected a '{self.device.type}' device type for generator but found '{rng.device.type}'")

    def _check_sides(self, func: Any, name: str, args: tuple[Any, ...], inputs: list[Tensor]) -> None:
        if name in INDEXING:
            if not place(args[0]):
                self.refuse("indices should be either on cpu or on the same device as the indexed tensor (cpu)")
            values = tensors(args[2:3])
            inputs = [args[0], *values]
            fills = bool(values) and not place(values[0]) and values[0].numel() == 1  # becomes masked_fill
            for index in tensors(args[1]):
                if not place(index) or (index.dtype in (torch.bool, torch.uint8) and not fills):
                    self.wait("index by a mask" if place(index) else "upload of an index")
        if not (host := [t for t in inputs if not place(t)]):
            return
        scalars = torch.Tag.pointwise in func.tags or name in TAKING_SCALARS | INDEXING or name.startswith("_foreach")
        first = func._schema.arguments[0].alias_info
        written = first is not None and first.is_write and any(t is args[0] for t in host)
        if written or any(t.dim() > 0 or not scalars for t in host):
            shapes = ", ".join(f"{tuple(t.shape)} on {place(t) or 'cpu'}" for t in inputs)
            self.refuse(f"Expected all tensors to be on the same device, but aten::{name} got {shapes}")

    def _to(self, tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """to(device, dtype, non_blocking), to(dtype, non_blocking) and to(other, non_blocking)."""
        words = list(args)
        if words and isinstance(words[0], Tensor):
            words[:1] = [place(words[0]) or words[0].device, words[0].dtype]
        elif words and isinstance(words[0], torch.dtype):
            words.insert(0, None)
        wanted, dtype, free = (*words, None, None, None)[:3]
        wanted, dtype = kwargs.get("device", wanted), kwargs.get("dtype", dtype)
        kind = (place(tensor) or tensor.device if wanted is None else torch.device(wanted)).type
        if kind not in ("cpu", self.device.type):
            return tensor.to(wanted, dtype)
        where, blocking = self.device if kind != "cpu" else None, not kwargs.get("non_blocking", free)
        tensor = self.move(tensor, None, blocking) if where is None else tensor  # the processor converts
        return self.move(tensor if dtype is None else tensor.to(dtype), where, blocking)


class _Calls(TorchFunctionMode):
    def __init__(self, owner: PretendedDevice) -> None:
        super().__init__()
        self.owner = owner

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self.owner.call(func, args, kwargs or {})


class _Operations(TorchDispatchMode):
    def __init__(self, owner: PretendedDevice) -> None:
        super().__init__()
        self.owner = owner

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with torch._C.DisableTorchFunction():
            return self.owner.operation(func, args, kwargs or {})


def place(tensor: Tensor) -> torch.device | None:
    """The pretended device of a tensor; None on the processor."""
    return getattr(tensor.untyped_storage(), "_pretended", None)


def tensors(values: object) -> list[Tensor]:
    """All tensors in nested lists, tuples and dicts."""
    if isinstance(values, Tensor):
        return [values]
    if isinstance(values, dict):
        values = values.values()
    elif not isinstance(values, (list, tuple)):
        return []
    return [tensor for value in values if isinstance(value, HOLDING) for tensor in tensors(value)]


@functools.cache
def may_vary(name: str) -> bool:
    """May an operation give another result when it runs again on CUDA, for some of its inputs?"""
    return UNSTEADY.fullmatch(name) is not None


@functools.cache
def without_kernel(kind: str, func: Any, dtype: torch.dtype) -> str:
    """What "CUDA" or "MPS" says where it has no kernel of an operation for numbers of this type; "" where it has."""
    full = func.name()
    name, backends = full.split("::")[1].split(".")[0].rstrip("_"), kernels().get(full.removeprefix("aten::"))
    has = backends is None or kind in backends or any(backend.startswith("Composite") for backend in backends)
    elsewhere = "cpu" in name or "mkldnn" in name or (kind == "MPS" and name in FALLING_BACK)
    if not has and not elsewhere:
        return f"The operator '{full}' is not implemented for the {kind} device"
    if kind == "CUDA" and ONLY_FLOATS.fullmatch(name) and not (dtype.is_floating_point or dtype.is_complex):
        return f'"{full}" not implemented for {dtype} on CUDA'
    return ""


@functools.cache
def kernels() -> dict[str, set[str]]:
    """The backends that have a kernel of each operation of ATen, by its name with overload."""
    path = Path(torch.__file__).parents[1] / "torchgen/packaged/ATen/native/native_functions.yaml"
    entries = yaml.load(path.read_text("utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    named = {entry["func"].split("(")[0]: entry for entry in entries}
    backends: dict[str, set[str]] = {}
    for name, entry in named.items():
        dispatch = named[entry.get("structured_delegate", name)]
        keys = ",".join(dispatch.get("dispatch") or ["CompositeImplicitAutograd"]).replace(" ", "").split(",")
        backends[name] = {*keys, "CUDA"} if "ufunc_inner_loop" in dispatch else {*keys}
    return backends
