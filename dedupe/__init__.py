"""Duplicates found with evidence: lexer, shingles, MinHash bands, exact Jaccard, selection.

Takes the code of pairs in rank order; gives fingerprints, candidates, edges and decisions: each
removal names a kept, earlier witness. Evaluation sets are protected by the same means.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
