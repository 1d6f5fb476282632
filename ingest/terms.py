"""Under which terms the content of a source may be handed on.

Every listing says it: `OPEN` where the licences of the files are all there is, `THE_STACK` where
the terms of The Stack bind whoever receives a copy, `GATED` where the place it was read from lets
in only those who agreed to terms that are not known here.
"""

from __future__ import annotations

from typing import Final

OPEN: Final = "open"
THE_STACK: Final = "the-stack"
GATED: Final = "gated"
