from .plain import FORMATS as FORMATS
from .plain import Exported as Exported
from .plain import ExportOptions as ExportOptions
from .plain import Format as Format
from .plain import export as export
from .triplets import export_triplets as export_triplets
