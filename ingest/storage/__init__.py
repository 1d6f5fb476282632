"""Where files lie: local, Hub, S3, fsspec, behind one interface; ranged remote files."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
