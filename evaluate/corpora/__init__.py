"""What is searched: datasets, CoSQA, BEIR folders, code folders.

Takes a place; gives a `Corpus` of documents and queries with their relevant documents.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
