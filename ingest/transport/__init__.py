"""HTTP and S3 requests: one retry policy, rate limit, transfer counters, allowed addresses."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
