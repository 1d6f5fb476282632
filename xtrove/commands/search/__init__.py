"""`xtrove search`.

Takes a question and a folder; prints answers, or one line of JSON.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
