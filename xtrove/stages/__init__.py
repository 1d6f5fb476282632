"""The stages of a build, one module each: a plain function from files to files.

Takes a workspace and a task; gives files in the work folder and facts for the receipt. The name of
a module is the name of the stage in receipts.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
