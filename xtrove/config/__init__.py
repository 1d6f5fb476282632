"""Typed configs of build and training: files, `--set`, defaults, opt-outs.

Takes YAML; gives checked models, or names the key and the nearest right one.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
