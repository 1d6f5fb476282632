"""Hard negatives: mined with a model, stored by id, read in training.

Takes a dataset and a model; gives a file of negatives per query.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
