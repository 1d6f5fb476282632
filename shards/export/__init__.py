"""Plain formats for other trainers.

Takes a dataset and a choice of samples; gives JSON lines, Parquet, pairs or triplets.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
