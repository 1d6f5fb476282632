"""A trained model on disk: PyLate layout, card, digests of what it was trained on, ONNX.

Takes an encoder; gives a folder, and back.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
