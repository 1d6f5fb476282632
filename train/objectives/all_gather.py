"""Data parallel contrastive losses: every rank scores its queries with the documents of all ranks.

The documents' vectors are gathered with their gradients (summed over ranks on the way back), and
each rank's loss is its share of the mean over all queries, so that gradients SUMMED over ranks
(`reduce_gradients`) are those of one process with the whole batch. Ranks may hold different
numbers of queries, documents and tokens, none included. Columns are those of rank 0, then rank 1...
Works over gloo, which has no uneven gather: parts are padded to the longest in transit.
Cost: documents' vectors once each way, parameters' gradients once. Memory: the gathered vectors,
twice while they arrive. In one process all of it is the identity, without torch.distributed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import torch
import torch.distributed as dist
from torch import Tensor

from train.objectives.loss import Loss, LossResult
from train.objectives.terms import LossInputs
from train.scores import PackedTokens

BUCKET_ELEMENTS: Final = 1 << 24


@dataclass(frozen=True, kw_only=True, slots=True)
class Labels:
    """What is known about this rank's texts, int64 on the device of the vectors; 0 is unknown."""

    positives: Tensor
    """This rank's column of each query's positive, shape (queries,)."""
    query_groups: Tensor
    """Shape (queries,)."""
    document_groups: Tensor
    """Shape (documents,)."""
    document_hashes: Tensor
    """First 64 bits of each document's code_sha256, shape (documents,)."""
    negatives_of: Tensor | None = None
    """This rank's query each document is a hard negative of alone, -1 for every query, shape
    (documents,). None: every document is every query's."""


def world() -> tuple[int, int]:
    """This process's rank and the number of ranks; (0, 1) without torch.distributed."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def global_loss(
    loss: Loss,
    queries: PackedTokens,
    documents: PackedTokens,
    labels: Labels,
    *,
    teacher: Tensor | None = None,
    k_factor: float = 1.0,
) -> LossResult:
    """This rank's share of the loss of the whole batch, false negatives masked.

    `teacher` is (this rank's queries, this rank's documents). The facts are those of the whole
    batch, `loss` among them. All ranks must call it together.
    """
    rank, _ = world()
    all_documents, counts = gather_documents(documents)
    first_column = sum(counts[:rank])
    positives = labels.positives + first_column
    hashes = gather_numbers(labels.document_hashes)
    owners = labels.negatives_of
    excluded = duplicates_mask(
        labels.query_groups,
        hashes[positives],
        positives=positives,
        document_groups=gather_numbers(labels.document_groups),
        document_hashes=hashes,
        negatives_of=None if owners is None else _elsewhere(owners, counts, rank),
    )
    if teacher is not None:
        all_columns = teacher.new_full((queries.count, all_documents.count), torch.nan)
        all_columns[:, first_column : first_column + documents.count] = teacher
        teacher = all_columns
    total = sum(_sizes(queries.count, documents.values.device))
    inputs = LossInputs(
        queries=queries,
        documents=all_documents,
        positives=positives,
        excluded=excluded,
        teacher=teacher,
        k_factor=k_factor,
    )
    result: LossResult = loss(inputs, divisor=total)
    return LossResult(loss=result.loss, facts=_global_facts(result, queries.count, total))


def duplicates_mask(
    query_groups: Tensor,
    code_hashes: Tensor,
    *,
    positives: Tensor,
    document_groups: Tensor,
    document_hashes: Tensor,
    negatives_of: Tensor | None = None,
) -> Tensor:
    """True where a document is a false negative of a query, shape (queries, documents).

    Two pairs with one `query_group` answer the same query, and two with one `code_sha256` are the
    same function: as negatives they teach the opposite of the truth, and in XTR they take slots of
    the top-k. Both are compared as 64-bit numbers; 0 means unknown and equals nothing.

    `query_groups` and `code_hashes` (queries,) int64: the group of each query and the code of its
    positive; `document_groups` and `document_hashes` (documents,) the same of each document.
    `positives` (queries,): the column of each positive, never excluded. `negatives_of`
    (documents,): the query that a hard negative was listed for and alone may be scored with, -1
    for every query. 64-bit unsigned numbers come as `array.view(numpy.int64)`.
    """
    group, code = query_groups.unsqueeze(1), code_hashes.unsqueeze(1)
    excluded = (group == document_groups) & (group != 0)
    excluded |= (code == document_hashes) & (code != 0)
    if negatives_of is not None:
        asking = torch.arange(len(query_groups), device=query_groups.device).unsqueeze(1)
        excluded |= (negatives_of != -1) & (negatives_of != asking)
    return excluded.scatter_(1, positives.unsqueeze(1), False)


def _elsewhere(owners: Tensor, counts: list[int], rank: int) -> Tensor:
    """`negatives_of` of all documents: those of other ranks' queries are none of this rank's."""
    parts = torch.split(gather_numbers(owners), counts)
    return torch.cat(
        [
            part if number == rank else part.masked_fill(part != -1, -2)
            for number, part in enumerate(parts)
        ]
    )


def _global_facts(result: LossResult, queries: int, total: int) -> dict[str, float]:
    """Means over all queries of what is a mean over this rank's, the sum of the loss."""
    means = [name for name in ("empty_positives", "mean_z") if name in result.facts]
    values = [result.facts[name] * queries / max(1, total) for name in means]
    sums = torch.stack([result.loss.detach(), *(result.loss.new_tensor(value) for value in values)])
    if world()[1] > 1:
        dist.all_reduce(sums)
    reduced = dict(zip(("loss", *means), sums.tolist(), strict=True))
    return result.facts | {"queries": float(total)} | reduced


def gather_documents(documents: PackedTokens) -> tuple[PackedTokens, list[int]]:
    """The documents of all ranks, differentiable, and how many each rank has."""
    if world()[1] == 1:
        return documents, [documents.count]
    counts = _sizes(documents.count, documents.values.device)
    values: Tensor = _GatherRows.apply(documents.values)  # type: ignore[no-untyped-call]
    owners = gather_numbers(documents.owners + sum(counts[: world()[0]]))
    return PackedTokens(values=values, owners=owners, count=sum(counts)), counts


def gather_numbers(values: Tensor) -> Tensor:
    """The rows of all ranks, in the order of ranks, without gradients."""
    size = world()[1]
    if size == 1:
        return values
    sizes = _sizes(len(values), values.device)
    longest = values.new_zeros(max(sizes), *values.shape[1:])
    longest[: len(values)] = values
    parts = [torch.empty_like(longest) for _ in range(size)]
    dist.all_gather(parts, longest)
    return torch.cat([part[:count] for part, count in zip(parts, sizes, strict=True)])


def reduce_gradients(parameters: Iterable[Tensor]) -> None:
    """Sum the gradients of all ranks in place; a parameter without one counts as zero.

    All ranks must pass the same parameters in the same order.
    """
    if world()[1] == 1:
        return
    bucket: list[Tensor] = []
    for parameter in parameters:
        if not parameter.requires_grad:
            continue
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        gradient = parameter.grad
        full = sum(bucketed.numel() for bucketed in bucket) + gradient.numel() > BUCKET_ELEMENTS
        if bucket and (full or bucket[0].dtype != gradient.dtype):
            _reduce(bucket)
            bucket = []
        bucket.append(gradient)
    if bucket:
        _reduce(bucket)


def _reduce(bucket: list[Tensor]) -> None:
    flat = torch.cat([gradient.flatten() for gradient in bucket])
    dist.all_reduce(flat)
    for gradient, part in zip(
        bucket, torch.split(flat, [gradient.numel() for gradient in bucket]), strict=True
    ):
        gradient.copy_(part.view_as(gradient))


def _sizes(own: int, device: torch.device) -> list[int]:
    """A number of each rank."""
    size = world()[1]
    if size == 1:
        return [own]
    parts = [torch.zeros(1, dtype=torch.int64, device=device) for _ in range(size)]
    dist.all_gather(parts, torch.tensor([own], device=device))
    return [int(part) for part in parts]


class _GatherRows(torch.autograd.Function):
    """Rows of all ranks; the gradient of a row is the sum of what all ranks have for it."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        """`values` (rows, dim), any number of rows on each rank."""
        rank, _ = world()
        sizes = _sizes(len(values), values.device)
        ctx.first, ctx.count = sum(sizes[:rank]), len(values)
        return gather_numbers(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """All ranks come here together, or none."""
        summed = gradients[0].contiguous().clone()
        dist.all_reduce(summed)
        return summed[ctx.first : ctx.first + ctx.count]
