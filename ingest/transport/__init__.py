"""Requests over HTTP and to S3: one policy for retries, redirects, rates and tokens.

Takes a request and limits; gives an answer or an error that says whether a retry can help.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
