from . import source as source
from .source import PairsOptions as PairsOptions
from .source import plan as plan
from .source import read as read
