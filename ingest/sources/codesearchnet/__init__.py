"""Source `codesearchnet`: the Parquet files of the Hub or the original zips.

Takes a place; gives pairs of its partitions with the licence of their repository, and what it
holds out.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
