"""To the Hub, atomically.

Takes a sealed dataset and a repository; gives one visible commit: the old dataset or the new one.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
