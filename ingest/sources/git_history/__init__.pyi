from . import source as source
from .messages import BadMessage as BadMessage
from .messages import clean_message as clean_message
from .source import GitHistoryOptions as GitHistoryOptions
