from . import source as source
from .source import InstalledOptions as InstalledOptions
from .source import plan as plan
