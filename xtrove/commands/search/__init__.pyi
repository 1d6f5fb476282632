from .mcp_server import serve as serve
from .run import Filters as Filters
from .run import Request as Request
from .run import search as search
