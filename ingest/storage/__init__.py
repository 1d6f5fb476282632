"""Where files lie: a folder, the Hub, S3 or any fsspec address, behind one `Place`.

Takes a path or an address; gives entries at a fixed revision and files that are read by range.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
