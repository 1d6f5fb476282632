from . import source as source
from .source import DirectoryOptions as DirectoryOptions
