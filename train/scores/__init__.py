"""Exact XTR and MaxSim scores of token vectors, without the score grid.

Takes vectors of real tokens, without padding; gives scores (queries, documents) whose gradients go
through the winning tokens alone.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
