"""How rows are stored: JSONL, CSV, Parquet, gzip, zip, tar, pickles of plain values."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
