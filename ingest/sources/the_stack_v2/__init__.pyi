from . import common_pile as common_pile
from . import source as source
from .blob_store import BlobOptions as BlobOptions
from .contents import BlobReader as BlobReader
from .contents import BlobRequest as BlobRequest
from .contents import Content as Content
from .source import TheStackV2Options as TheStackV2Options
