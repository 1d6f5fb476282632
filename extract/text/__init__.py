"""Documentation to a query: markup, sentences, words, quality.

Takes the documentation of a function; gives the text that a person would ask with, and a score.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
