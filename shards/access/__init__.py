"""Shards and indexes wherever they lie: a folder, or a cache of remote ones.

Takes a place; gives memory-mapped indexes and ranges of tars, compared with their SHA-256.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
