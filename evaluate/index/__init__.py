"""Token vectors on disk and their cache.

Takes documents and an encoder; gives a memory-mapped index.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
