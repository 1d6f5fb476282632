"""Primitives for files: Arrow columns, Parquet within limits, findings.

Takes bytes that may be hostile; gives columns within stated bounds.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
