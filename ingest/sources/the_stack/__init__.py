"""Source `the-stack`: The Stack v1 and datasets of its layout."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
