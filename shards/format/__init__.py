"""The published format, field by field: layout, sample, index, manifest, funnel, journal.

Takes values; gives bytes, and back. Who implements the format again needs this folder only.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
