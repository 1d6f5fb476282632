"""Source `installed`: the standard library and the installed packages.

Takes the running interpreter; gives files with the licence that their distribution states.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
