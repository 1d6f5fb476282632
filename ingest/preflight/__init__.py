"""A look at each source before a build, for `xtrove doctor`.

Takes the options of a source; gives findings with a remedy each, within a deadline.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
