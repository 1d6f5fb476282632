"""Training steps of one implementation, in a process of its own.

`python benchmarks/train_child.py FILE.json` reads engine, model folder (PyLate layout), pairs,
batch, mini-batch tokens, k, device, precision, threads and seconds, trains for about so long (one
step first that is not counted) and prints one JSON line. Every engine tokenises in the step and
works on the same model, pairs, k, temperature and AdamW. It runs in the peers' environments and
imports nothing of ours for them. Padding is counted where it costs: at the transformer's door.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TEMPERATURE = 0.05
RATE = 1e-4
Step = Callable[[int], float]
Features = Callable[[list[str], list[str]], list[Any]]


def sentence_transformer(job: dict[str, Any]) -> tuple[Any, Any, Features]:
    """Model, loss and how texts become features."""
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.multi_vector_encoder.losses import (
        CachedMultiVectorMultipleNegativesRankingLoss as Cached,
    )
    from sentence_transformers.multi_vector_encoder.losses import (
        MultiVectorMultipleNegativesRankingLoss as Plain,
    )
    from sentence_transformers.multi_vector_encoder.scoring import XTRScores

    model: Any = MultiVectorEncoder(job["model"], device=job["device"])
    options: dict[str, Any] = {"scale": 1 / TEMPERATURE, "similarity_fct": XTRScores(job["k"])}
    if job["engine"].endswith("plain"):
        loss: Any = Plain(model, **options)
    else:
        options["mini_batch_num_tokens"] = job["mini_batch_tokens"]
        loss = Cached(model, score_mini_batch_size=job["score_rows"], **options)

    def features(queries: list[str], documents: list[str]) -> list[Any]:
        return [
            model.preprocess(queries, prompt="[Q] ", task="query"),
            model.preprocess(documents, prompt="[D] ", task="document"),
        ]

    return model, loss, features


def pylate(job: dict[str, Any]) -> tuple[Any, Any, Features]:
    """Model, loss and how texts become features: their collator pads to the full length."""
    from pylate import losses, models
    from pylate.scores.xtr import XTRScores

    model: Any = models.ColBERT(job["model"], device=job["device"])
    loss = losses.CachedContrastive(
        model,
        score_metric=XTRScores(k=job["k"]),
        mini_batch_size=max(1, job["mini_batch_tokens"] // job["document_length"]),
        score_mini_batch_size=job["score_rows"],
        temperature=TEMPERATURE,
    )

    def features(queries: list[str], documents: list[str]) -> list[Any]:
        return [
            model.tokenize(queries, is_query=True, pad=True),
            model.tokenize(documents, is_query=False, pad=True),
        ]

    return model, loss, features


def peer(job: dict[str, Any]) -> tuple[Step, Any]:
    """A step of sentence-transformers or PyLate, as their trainers call their losses."""
    import torch

    made = pylate if job["engine"] == "pylate" else sentence_transformer
    model, loss, features = made(job)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, fused=job["device"] != "mps")
    cast = job["precision"] == "bf16"

    def step(number: int) -> float:
        queries, documents = pairs_of(job, number)
        moved = [
            {n: v.to(job["device"]) if hasattr(v, "to") else v for n, v in feature.items()}
            for feature in features(queries, documents)
        ]
        optimizer.zero_grad(set_to_none=True)
        place = torch.autocast(job["device"], dtype=torch.bfloat16) if cast else no_context()
        with place:
            value = loss(moved, None)
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return float(value.detach())

    return step, model


def ours(job: dict[str, Any]) -> tuple[Step, Any]:
    """A step of ours, on the config that these settings are."""
    from types import SimpleNamespace

    from train import Processes, TrainConfig, choose_device
    from train.checkpoint import load_model
    from train.data import Collate
    from train.run import new_stepper

    device = choose_device(job["device"], job["precision"])
    encoder = load_model(job["model"], device.torch)
    lengths = {"query_length": job["query_length"], "document_length": job["document_length"]}
    config = TrainConfig.model_validate(
        {
            "name": "benchmark",
            "output": "-",
            "data": {"path": "-"},
            "base": "-",
            "encoder": lengths,
            "objective": {"k_train": job["k"], "k_warmup": 1.0, "temperature": TEMPERATURE},
            "batch": {"size": job["batch"], "mini_batch_tokens": job["mini_batch_tokens"]},
            "compile": job["compile"],
        }
    )
    stepper = new_stepper(config, encoder, device, Processes())
    collate = Collate(tokenize=encoder.text_tokenizer)

    def step(number: int) -> float:
        queries, documents = pairs_of(job, number)
        samples = [
            {
                "id": "0",
                "query": q,
                "code": d,
                "query_group": f"{n:016x}",
                "code_sha256": f"{n:064x}",
            }
            for n, (q, d) in enumerate(zip(queries, documents, strict=True), 1)
        ]
        batch: Any = SimpleNamespace(
            epoch=0, number=number, language="", size=len(samples), samples=samples
        )
        return stepper.step(collate(batch), step=1, total=2, rate=RATE).loss

    return step, encoder


def pairs_of(job: dict[str, Any], number: int) -> tuple[list[str], list[str]]:
    """Queries and documents of a step; the pairs are gone through again and again."""
    pairs, size = job["pairs"], job["batch"]
    start = number * size % (len(pairs) - size + 1)
    chosen = pairs[start : start + size]
    return [pair[0] for pair in chosen], [pair[1] for pair in chosen]


def no_context() -> contextlib.AbstractContextManager[Any]:
    """Nothing."""
    return contextlib.nullcontext()


def watched(model: Any) -> tuple[dict[str, int], Any]:
    """Counts the tokens that the embeddings are asked for, padding apart; and how to stop it."""
    counts = {"real": 0, "all": 0}
    base = model.base if hasattr(model, "base") else model[0].auto_model
    pad = model.tokenizer.pad_token_id

    def see(module: Any, args: Any) -> None:
        counts["all"] += args[0].numel()
        counts["real"] += int((args[0] != pad).sum())

    return counts, base.get_input_embeddings().register_forward_pre_hook(see)


def main() -> None:
    """Runs a job; exit 3 where memory did not suffice."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    import torch

    if job["threads"]:
        torch.set_num_threads(job["threads"])
    step, model = (ours if job["engine"] == "xtrove" else peer)(job)
    try:
        first = step(0)
        counts, handle = watched(model)
        step(1)
        # Counting reads numbers back from the device: not while the time is taken.
        handle.remove()
        padding = 1 - counts["real"] / counts["all"]
        times = timed(step, job["seconds"])
    except (torch.OutOfMemoryError, MemoryError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(3)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if job["device"].startswith("cuda"):
        peak = torch.cuda.max_memory_allocated()
    facts = {"seconds": times, "loss": first, "padding": padding, "peak": peak}
    sys.stdout.write(json.dumps(facts) + "\n")


def timed(step: Step, seconds: float) -> list[float]:
    """Seconds of every step; two at least."""
    times: list[float] = []
    while sum(times) < seconds or len(times) < 2:
        began = time.perf_counter()
        step(2 + len(times))
        times.append(time.perf_counter() - began)
    return times


if __name__ == "__main__":
    main()
