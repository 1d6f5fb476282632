"""Sources `the-stack-v2` and `common-pile-stack`.

Takes tables of file names and identifiers; fetches contents from object storage; gives files.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
