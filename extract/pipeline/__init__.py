"""Extraction of a file or a ready pair, in a child process that the kernel stops at a limit.

Takes rows and options; gives an `Extraction` per row, or `Stopped` with the limit it exceeded.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
