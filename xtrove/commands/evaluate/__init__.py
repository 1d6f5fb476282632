"""`xtrove evaluate`: request, run, tuning, output.

Takes checked options; gives tables and result files.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
