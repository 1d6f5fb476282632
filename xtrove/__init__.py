"""The command line and the build; the surface for programmers.

Takes commands and configs; runs the packages to the left.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
