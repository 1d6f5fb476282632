"""Files to pairs of (query, code).

Takes `SourceFile`s and `SourcePair`s; gives `Pair`s and `DroppedPair`s. Options and records stand
here; `extract.pipeline` is the way in.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
