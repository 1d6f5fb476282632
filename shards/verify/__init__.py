"""`xtrove verify`: every claim of a dataset computed again.

Takes a dataset; gives findings.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
