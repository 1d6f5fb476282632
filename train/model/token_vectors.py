"""The token vectors of many texts on the host. Imports no torch: an index of them is read without.

Cost: 4 bytes a component. Limits: none of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenVectors:
    """The vectors of many texts, one after the other, padding excluded."""

    values: NDArray[np.float32]
    """[sum of tokens, dim], each row of length 1; text i is `values[offsets[i]:offsets[i + 1]]`."""
    offsets: NDArray[np.int64]
    """[texts + 1]."""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, position: int) -> NDArray[np.float32]:
        """The vectors of one text: [its tokens, dim]."""
        return self.values[self.offsets[position] : self.offsets[position + 1]]
