"""Extraction of a file or a ready pair, in a child process that the kernel stops at a limit."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
