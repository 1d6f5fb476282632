"""Sources of code: where rows come from, and which of them may be used.

Takes the `sources:` of a config; gives `Listing`s of slices and, per slice, `SourceFile`s,
`SourcePair`s and `Skip`s with a reason. The words that all sources share stand here: records,
languages, errors, terms.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
