"""Which licences let code in.

Takes texts, file heads and package manifests; gives SPDX expressions with the words that decided,
and a yes or no by the policy of the config. What is not certain is no licence.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
