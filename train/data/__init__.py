"""Samples to batches of tokens.

Takes a config and a dataset; gives token batches with the state of the reader after each.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
