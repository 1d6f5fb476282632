"""How rows are stored: JSON lines, CSV, Parquet, gzip, zip, tar, pickles of plain values.

Takes an open file or a range of one; gives rows within limits of size, and `BadRow`s with a
reason.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
