"""The reader for training: order, windows, batches, exact resume, torch loader.

Takes a dataset, a selection and a seed; gives batches that depend on nothing else, at any number
of ranks and workers, from any step on.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
