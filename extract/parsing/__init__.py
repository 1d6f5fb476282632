"""Bytes to functions: grammars, queries, documentation, repair of known faults.

Takes the bytes of a file and its language; gives functions with exact bounds and their
documentation, and whether the file follows its grammar.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
