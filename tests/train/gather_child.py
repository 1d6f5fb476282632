"""One rank of the data parallel test: `python -m tests.train.gather_child RANK WORLD FOLDER`.

Runs every case of `CASES` on this rank's share of one batch and writes loss, facts and summed
gradients to FOLDER/RANK.safetensors. With WORLD 1 it is the whole batch in one process.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import Tensor, nn

from train.model.encoder import batches
from train.objectives.all_gather import Labels, global_loss, reduce_gradients
from train.objectives.base import Objective
from train.objectives.distillation import Distillation
from train.objectives.grad_cache import MiniBatch, cached_step, plain_step
from train.objectives.loss import Loss, LossResult
from train.objectives.mix import Mix
from train.objectives.xtr import Xtr
from train.scores.unpadded import PackedTokens

QUERIES: Final = 7
DOCUMENTS: Final = 10
DIM: Final = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """One case: the objective and which query each rank has."""

    objective: Objective = Xtr(k_train=11)
    cached: bool = False
    first_rank: int = 4
    """Queries of rank 0; the rest are rank 1's."""


CASES: Final = {
    "xtr": Setting(),
    "cached": Setting(cached=True),
    "mix": Setting(objective=Mix(k_train=11), first_rank=1),
    "kd": Setting(objective=Distillation(k_train=11), cached=True),
    "lonely": Setting(first_rank=QUERIES),
    "lonely cached": Setting(objective=Mix(k_train=11), cached=True, first_rank=QUERIES),
}


class Encoder(nn.Module):
    """Token embeddings, two with no gradient path for some ranks: the tokens 40 and above."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, DIM)
        self.linear = nn.Linear(DIM, DIM)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        return nn.functional.normalize(self.linear(self.embedding(ids)), dim=-1)


def share(setting: Setting, rank: int, world: int) -> tuple[list[int], list[int]]:
    """Queries and documents of a rank: documents 0..6 are positives, 7 and 8 of query 1, 9 of 5."""
    if world == 1:
        return list(range(QUERIES)), list(range(DOCUMENTS))
    cut = setting.first_rank
    queries = list(range(cut)) if rank == 0 else list(range(cut, QUERIES))
    extra = [7, 8] * (1 in queries) + [9] * (5 in queries)
    return queries, queries + extra


def mini_batches(texts: list[Tensor]) -> list[MiniBatch]:
    """Mini-batches of at most 24 tokens."""
    result = []
    for chosen in batches(texts, 24, lambda tokens: tokens):
        ids = nn.utils.rnn.pad_sequence([texts[i] for i in chosen], batch_first=True)
        mask = ids != 0
        result.append(MiniBatch(input_ids=ids, attention_mask=mask, positions=torch.tensor(chosen)))
    return result


def run(setting: Setting, rank: int, world: int) -> dict[str, Tensor]:
    """Loss, facts and gradients of one step."""
    generator = torch.Generator().manual_seed(5)

    def texts(count: int, longest: int) -> list[Tensor]:
        lengths = torch.randint(1, longest, (count,), generator=generator).tolist()
        return [torch.randint(1, 50, (n,), generator=generator) for n in lengths]

    all_queries, all_documents = texts(QUERIES, 6), texts(DOCUMENTS, 20)
    torch.manual_seed(6)
    encoder, loss = Encoder(), Loss(setting.objective)
    queries, documents = share(setting, rank, world)
    groups = torch.tensor([1, 2, 3, 4, 5, 1, 7, 0, 0, 0])
    hashes = torch.tensor([11, 12, 13, 14, 15, 16, 12, 0, 13, 0])
    own = {7: 1, 8: 1}
    labels = Labels(
        positives=torch.tensor([documents.index(query) for query in queries]).long(),
        query_groups=groups[queries],
        document_groups=groups[documents],
        document_hashes=hashes[documents],
        negatives_of=torch.tensor(
            [queries.index(own[document]) if document in own else -1 for document in documents]
        ).long(),
    )
    teacher = None
    if setting.objective.needs_teacher:
        # Only documents of the rank of a query are scored by the teacher.
        teacher = torch.randn(QUERIES, DOCUMENTS, generator=torch.Generator().manual_seed(7))
        for query in range(QUERIES):
            for document in range(DOCUMENTS):
                if not any(
                    query in part[0] and document in part[1]
                    for part in (share(setting, 0, 2), share(setting, 1, 2))
                ):
                    teacher[query, document] = torch.nan
        teacher = teacher[queries][:, documents]

    def judge(q: PackedTokens, d: PackedTokens) -> LossResult:
        return global_loss(loss, q, d, labels, teacher=teacher)

    step = cached_step if setting.cached else plain_step
    actual = step(
        encoder,
        mini_batches([all_queries[i] for i in queries]),
        mini_batches([all_documents[i] for i in documents]),
        judge,
        nothing=torch.zeros(0, DIM),
    )
    parameters = {**dict(encoder.named_parameters()), **dict(loss.named_parameters())}
    reduce_gradients(parameters.values())
    result = {name: part.grad for name, part in parameters.items() if part.grad is not None}
    return result | {f"fact {name}": torch.tensor(fact) for name, fact in actual.facts.items()}


def main(rank: int, world: int, folder: Path) -> None:
    """All cases on this rank."""
    torch.set_num_threads(1)
    if world > 1:
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"
        dist.init_process_group(
            "gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=world
        )
    tensors = {
        f"{name}: {key}": value.contiguous()
        for name, setting in CASES.items()
        for key, value in run(setting, rank, world).items()
    }
    save_file(tensors, folder / f"{rank}.safetensors")
    if world > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
