from .cache import IndexCache as IndexCache
from .mapped_arrays import mapped as mapped
from .token_index import META as META
from .token_index import Meta as Meta
from .token_index import Precision as Precision
from .token_index import TokenIndex as TokenIndex
from .token_index import build_index as build_index
