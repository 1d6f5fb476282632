"""The registry of sources; one folder per source.

Takes the options of a source; gives its plan (slices in a fixed order) and the rows of a slice.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
