"""What every folder may use, and what imports nothing of ours.

Errors, files that appear whole or not at all, canonical JSON, private folders.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
