"""Rules that refuse a file, a function or a query.

Takes contents and functions; gives a reason, or none.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
