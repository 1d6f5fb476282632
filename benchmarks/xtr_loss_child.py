"""One implementation of the XTR loss, forward and backward, in a process of its own.

`python benchmarks/xtr_loss_child.py ENGINE TENSORS k LIMIT_BYTES DEVICE SECONDS THREADS` reads
`queries` (B, Lq, d), `documents` (B, Ld, d) and `lengths` (B,) from a safetensors file, computes
cross-entropy at temperature 0.05 over the in-batch documents and both gradients, again and again
for about SECONDS (once at least after a first time that is not counted), and writes one JSON line:
best wall and processor seconds, peak memory, what of it was there before, loss, gradient norms.
ENGINE-N scores N queries at a time and adds up the gradients, as the peers' cached losses do.
It runs in the peers' environments and imports nothing of ours for them. LIMIT_BYTES holds the
data segments (Linux) or the device's memory down; 0 is no limit.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TEMPERATURE = 0.05

Step = Callable[[], Any]


def score_of(engine: str, k: int) -> Callable[..., Any]:
    """Scores (queries, documents) of a peer from queries, documents and their masks."""
    if engine == "sentence-transformers":
        from sentence_transformers.multi_vector_encoder.scoring.xtr import XTRScores

        return XTRScores(k)
    from pylate.scores.xtr import XTRScores as PyLateScores

    return PyLateScores(k=k)


def peer_step(engine: str, k: int, chunk: int, tensors: dict[str, Any], torch: Any) -> Step:
    """One step of a peer, `chunk` queries at a time (0: all)."""
    score = score_of(engine, k)
    queries, documents = tensors["queries"], tensors["documents"]
    query_mask, document_mask = tensors["query_mask"], tensors["document_mask"]
    total = len(queries)

    def step() -> Any:
        loss_sum = torch.zeros((), device=queries.device)
        for start in range(0, total, chunk or total):
            run = slice(start, start + (chunk or total))
            scores = score(
                queries[run], documents.unsqueeze(1), query_mask[run], document_mask.unsqueeze(1)
            )
            columns = torch.arange(total, device=queries.device)[run]
            loss = torch.nn.functional.cross_entropy(scores / TEMPERATURE, columns, reduction="sum")
            (loss / total).backward()
            loss_sum += loss.detach() / total
        return loss_sum

    return step


def own_step(k: int, tensors: dict[str, Any], torch: Any) -> Step:
    """One step of ours."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from train.objectives import Loss, Xtr
    from train.objectives.terms import LossInputs
    from train.scores import pack_tokens

    loss = Loss(Xtr(k_train=k, temperature=TEMPERATURE, learn_temperature=False))
    loss.to(tensors["queries"].device)
    positives = torch.arange(len(tensors["queries"]), device=tensors["queries"].device)

    def step() -> Any:
        inputs = LossInputs(
            queries=pack_tokens(tensors["queries"], tensors["query_mask"]),
            documents=pack_tokens(tensors["documents"], tensors["document_mask"]),
            positives=positives,
        )
        result = loss(inputs)
        result.loss.backward()
        return result.loss.detach()

    return step


def limit_memory(limit: int, device: str, torch: Any) -> None:
    """Hold memory down to `limit` bytes, of the device where it has its own."""
    if not limit:
        return
    if device == "cuda":
        whole = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, limit / whole))
    elif device == "mps":
        whole = torch.mps.recommended_max_memory()
        torch.mps.set_per_process_memory_fraction(min(1.0, limit / whole))
    else:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def peak_bytes(device: str, torch: Any) -> int:
    """Peak of the process, or of the device's memory."""
    if device == "cuda":
        return int(torch.cuda.max_memory_allocated())
    if device == "mps":
        return int(torch.mps.driver_allocated_memory())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) * (1 if sys.platform == "darwin" else 1024)


def timed(step: Step, tensors: dict[str, Any], device: str, torch: Any) -> tuple[float, float, Any]:
    """Wall and processor seconds of one step, and its loss."""
    tensors["queries"].grad = tensors["documents"].grad = None
    if device == "cuda":
        torch.cuda.synchronize()
    wall, processor = time.perf_counter(), time.process_time()
    loss = float(step())
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - wall, time.process_time() - processor, loss


def main() -> int:
    """Measure; exit 3 when memory ran out."""
    engine, path, k, limit, device, seconds, threads = sys.argv[1:8]
    import torch
    from safetensors.torch import load_file

    if int(threads):
        torch.set_num_threads(int(threads))
    tensors: dict[str, Any] = {name: t.to(device) for name, t in load_file(path).items()}
    for name in ("queries", "documents"):
        tensors[name].requires_grad_()
    place = torch.arange(tensors["documents"].shape[1], device=device)
    tensors["document_mask"] = place < tensors["lengths"].unsqueeze(1)
    tensors["query_mask"] = torch.ones(
        tensors["queries"].shape[:2], dtype=torch.bool, device=device
    )
    name, _, chunk = engine.rpartition("-") if engine[-1].isdigit() else (engine, "", "0")
    try:
        if name == "xtrove":
            step = own_step(int(k), tensors, torch)
        else:
            step = peer_step(name, int(k), int(chunk), tensors, torch)
        before = peak_bytes(device, torch)
        limit_memory(int(limit), device, torch)
        first, first_processor, loss = timed(step, tensors, device, torch)
        runs = [] if first < float(seconds) else [(first, first_processor, loss)]
        deadline = time.perf_counter() + float(seconds)
        while not runs or time.perf_counter() + runs[-1][0] < deadline:
            runs.append(timed(step, tensors, device, torch))
    except (MemoryError, RuntimeError) as error:
        text = str(error).lower()
        if isinstance(error, MemoryError) or "memory" in text or "alloc" in text:
            return 3
        raise
    row = {
        "seconds": min(run[0] for run in runs),
        "processor_seconds": min(run[1] for run in runs),
        "runs": len(runs),
        "peak_bytes": peak_bytes(device, torch),
        "before_bytes": before,
        "loss": loss,
        "query_gradient": float(tensors["queries"].grad.norm()),
        "document_gradient": float(tensors["documents"].grad.norm()),
    }
    sys.stdout.write(json.dumps(row) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
