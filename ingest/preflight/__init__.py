"""A look at each source before a build: what `xtrove doctor` reports."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
