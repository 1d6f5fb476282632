from .registry import SourceOptions as SourceOptions
from .registry import plan as plan
from .registry import read as read
from .registry import resolve_paths as resolve_paths
