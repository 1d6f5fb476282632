"""Source `pairs`: ready (query, code) rows in JSON lines, CSV or Parquet.

Takes a place and a mapping of columns; gives pairs.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
