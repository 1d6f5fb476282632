"""Sources `the-stack-v2` and `common-pile-stack`: rows, schema, contents from object storage."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
