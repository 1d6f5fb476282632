"""Source `the-stack`: The Stack v1 and datasets with its columns.

Takes a place and languages; gives files with the licences of their repository.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
