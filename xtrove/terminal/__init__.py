"""What people see: console, live displays, event log.

Takes text that may be hostile; prints it without markup or control characters.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
