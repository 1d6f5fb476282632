from .run import Request as Request
from .run import search as search
