"""Searchers: BM25, dense, MaxSim, XTR, fusion.

Takes documents, then queries; gives the best documents per query with scores.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
