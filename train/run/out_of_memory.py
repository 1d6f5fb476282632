"""Out of memory in words: which setting to lower and to what."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import torch

from train.config import TrainConfig
from train.device import Device
from train.errors import TrainingFault

_SIGNS: Final = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)


@contextmanager
def explained(config: TrainConfig, device: Device) -> Iterator[None]:
    """Turns an allocator's error into a `TrainingFault` with the setting to lower."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise out_of_memory(config, device, error) from error
    except RuntimeError as error:
        # The CPU's and MPS's allocators raise a plain RuntimeError.
        if not any(sign in str(error) for sign in _SIGNS):
            raise
        raise out_of_memory(config, device, error) from error


def out_of_memory(config: TrainConfig, device: Device, error: BaseException) -> TrainingFault:
    """The mini-batch is halved while a text fits into it; then the batch; then the texts."""
    first = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    longest = max(config.encoder.query_length, config.encoder.document_length)
    now, batch = config.batch.mini_batch_tokens, config.batch.size
    if now // 2 >= max(longest, 256):
        advice = f"lower batch.mini_batch_tokens from {now} to {now // 2}: no result changes"
    elif batch > 2:
        advice = f"lower batch.size from {batch} to {max(2, batch // 2)}"
    else:
        advice = f"lower encoder.document_length from {longest} to {max(8, longest // 2)}"
    return TrainingFault(f"out of memory on {device.torch}: {first}", remedy=advice)
