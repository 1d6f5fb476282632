from . import rows as rows
from . import source as source
from .layout import why as why
from .rows import COLUMNS as COLUMNS
from .source import TheStackOptions as TheStackOptions
