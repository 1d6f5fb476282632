"""How a report page is drawn.

Takes sections; gives one self-contained HTML file without scripts.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
