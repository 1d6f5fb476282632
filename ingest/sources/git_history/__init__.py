"""Source `git-history`: commit messages and the functions that the commits changed.

Takes git checkouts or bare repositories. Gives files as they stood before a commit, each with the
cleaned message and the lines that the commit changed.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
