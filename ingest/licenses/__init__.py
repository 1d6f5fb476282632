"""Which licences let code in: SPDX policy, recognition of texts, licences of files and packages."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
