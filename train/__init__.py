"""The model: encoder, objectives, trainer, checkpoints.

Takes a dataset and a config; gives a model in the PyLate layout. Config, device, processes and
errors stand here.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
