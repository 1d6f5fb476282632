"""Local trees that are not trusted: the walk, digests, and git checkouts read by git.

Takes a folder; gives files with their digests, and repositories with owner, commit and the bytes
of that commit. Follows no link and runs nothing of a repository.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
