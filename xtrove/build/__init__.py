"""The build: plan, quota rounds, finish, ownership of the output.

Takes a config; gives a sealed dataset.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
