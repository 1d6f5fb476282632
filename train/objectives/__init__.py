"""What is optimised: XTR, MaxSim, distillation, and the means to compute them within memory.

Takes vectors of queries and documents, (tokens, dim) with lengths; gives a loss and its gradients.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
