"""Which documents of a batch must not be negatives of which query.

Two pairs with one `query_group` answer the same query, and two with one `code_sha256` are the same
function: as negatives they teach the opposite of the truth, and in XTR they take the places of the
top-k. Both are compared as 64-bit numbers; 0 means unknown and equals nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor


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
