"""Retrieval metrics and bootstrap intervals.

Takes rankings and relevance; gives one row of values per query, and intervals over rows.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
