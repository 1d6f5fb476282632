from . import rows as rows
from . import source as source
from .source import CodeSearchNetOptions as CodeSearchNetOptions
