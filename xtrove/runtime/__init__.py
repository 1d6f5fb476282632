"""Tasks on Ray: engine, scheduler, contract between nodes, receipts, locks, versions.

Takes tasks; gives receipts: a task that has one for the same code and input is not run again.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
