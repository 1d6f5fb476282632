from . import request as request
from . import run as run
