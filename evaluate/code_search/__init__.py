"""The incremental index behind `xtrove search`.

Takes a folder and a model; gives a snapshot that follows the files, and answers.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
