from . import rows as rows
from . import source as source
from .layout import find_files as find_files
from .layout import is_table as is_table
from .layout import why as why
from .rows import COLUMNS as COLUMNS
from .rows import StackRows as StackRows
from .source import TheStackOptions as TheStackOptions
