from . import source as source
from .files import READ as READ
from .files import folders_of as folders_of
from .files import table_columns as table_columns
from .source import PairsOptions as PairsOptions
from .source import plan as plan
from .source import read as read
