"""Kept pairs to a sealed dataset: shards, removals, attribution, card, plots, terms, seal.

Takes samples and decisions; gives files, each whole or not there.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
