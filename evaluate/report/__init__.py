"""What a report page says: of a dataset, a training run, an evaluation.

Takes a result on disk; gives a page.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
