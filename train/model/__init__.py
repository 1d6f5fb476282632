"""The encoder and where it starts: pretrained, scratch, LoRA, projection, tokenizer, attention.

Takes texts; gives one vector per token, of unit length.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
