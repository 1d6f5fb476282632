"""A training run: plan, steps, validation, logs, checkpoints, resume.

Takes a config; gives checkpoints and a log; goes on after SIGKILL bit by bit on a CPU.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
