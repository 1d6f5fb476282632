"""A device that is not the CPU, for machines without one: what lies on it cannot be mixed with it.

Method: torch's PrivateUse1 key, set up for Python under the name `second`. A tensor there is a
wrapper around one of the CPU, which computes for it, so the values are those of a CPU; an operation
on tensors of both devices is refused as CUDA refuses it (one number without dimensions may come
from the CPU, as may the places of an index). `COUNTS` says how often the host waited for the device
(`waits`: a value was read, or a shape depended on values).

It is set up for the whole process, so that only child processes may import this module.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import (
    _DummyBackendModule,
    _setup_privateuseone_for_python_backend,
)

CPU = torch.device("cpu")
COUNTS: Counter[str] = Counter()
_BETWEEN = {"aten::_to_copy", "aten::copy_"}
_INDEXING = {"aten::index", "aten::index_put_", "aten::_index_put_impl_", "aten::_unsafe_index"}
_WAITING = {
    *("aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select"),
    *("aten::_unique2", "aten::unique_dim", "aten::equal", "aten::unique_consecutive"),
}


class _Module(_DummyBackendModule):
    """What torch asks of a device; the CPU's generator serves both."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


_setup_privateuseone_for_python_backend("second", backend_module=_Module())
# Parameters are replaced by tensors of another class, which `.data =` cannot do.
torch.__future__.set_overwrite_module_params_on_conversion(True)
# A wrapper made in inference mode has no views outside of it.
torch.inference_mode = torch.no_grad  # type: ignore[misc, assignment]
PLACE = torch.device("second", 0)


class Mixed(RuntimeError):
    """Tensors of both devices in one operation."""


class Second(torch.Tensor):
    """A tensor of the second device."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> Second:
        made = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=PLACE,
        )
        made.held = held
        return made

    def tolist(self) -> Any:
        COUNTS["waits"] += 1
        return self.held.tolist()

    def untyped_storage(self) -> torch.UntypedStorage:
        return self.held.untyped_storage()

    def numpy(self, *, force: bool = False) -> Any:
        raise TypeError("a tensor of the second device has no array: use .cpu()")

    def __repr__(self) -> str:  # type: ignore[override]
        return f"Second({self.held})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class TwoDevices(TorchDispatchMode):
    """Where it is active, tensors are made on the device that is asked for."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    name = func.name().partition(".")[0]
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    there = [tensor for tensor in tensors if isinstance(tensor, Second)]
    _refuse_mixture(func.name(), name, tensors, there)
    COUNTS["waits"] += bool(there) and name in _WAITING
    # A device stands among the words, or (`to.device`, in inference mode) among the arguments.
    asked = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.device)]
    inner, named = tree_map(_held, (args, kwargs))
    onto = asked[0].type == PLACE.type if asked else bool(there)
    if name == "aten::_to_copy" and onto and there:
        # `.to` its own device: nothing is copied twice.
        named.pop("device", None)
    same = {id(one.held): one for one in there}
    out = func(*inner, **named)
    if name == "aten::copy_":
        return args[0]

    def given(value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or not onto:
            return value
        # What works in place gives its argument back.
        return same[id(value)] if id(value) in same else Second(value)

    return tree_map(given, out)


def _refuse_mixture(
    full: str, name: str, tensors: list[torch.Tensor], there: list[torch.Tensor]
) -> None:
    here = [tensor for tensor in tensors if not isinstance(tensor, Second) and tensor.ndim]
    if not there or not here or name in _BETWEEN:
        return
    if name in _INDEXING and isinstance(tensors[0], Second) and all(_places(one) for one in here):
        return
    shapes = [tuple(one.shape) for one in here]
    raise Mixed(f"{full}: tensors of the CPU {shapes} among those of {PLACE}")


def _places(one: torch.Tensor) -> bool:
    return one.dtype in (torch.int64, torch.int32, torch.bool)


def _held(value: Any) -> Any:
    if isinstance(value, torch.device):
        return CPU
    return value.held if isinstance(value, Second) else value


# torch's C++ asks for these directly where it makes a tensor from numbers of Python.
_LIBRARY = torch.library.Library("aten", "IMPL", "PrivateUse1")


def _empty_strided(size: Any, stride: Any, dtype: Any = None, **_: Any) -> Second:
    return Second(torch.empty_strided(size, stride, dtype=dtype, device=CPU))


def _copy_from(source: torch.Tensor, target: torch.Tensor, non_blocking: bool = False) -> Any:
    _held(target).copy_(_held(source))
    return target


_LIBRARY.impl("empty_strided", _empty_strided)
_LIBRARY.impl("_copy_from", _copy_from)
