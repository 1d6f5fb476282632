"""Systems over corpora to a result: measures, groups, paired tests, validation during training.

Takes searchers and corpora; gives an `Evaluation`, its tables and TREC files.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
