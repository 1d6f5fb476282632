"""What all sources share: options, opt-out, slices of whole files, one row of a pair.

Takes entries of a config and raw rows; gives checked options, records and reasons.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
