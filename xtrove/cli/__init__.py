"""The command line: options, help, exit codes; no work.

Takes arguments; calls `xtrove.commands`.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
