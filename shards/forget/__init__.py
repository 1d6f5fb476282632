"""Repositories out of a sealed dataset.

Takes names; rewrites the shards concerned behind a journal, and leaves tombstones.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
