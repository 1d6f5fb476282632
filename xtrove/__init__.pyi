from .core import DamagedData as DamagedData
from .core import Interrupted as Interrupted
from .core import Misuse as Misuse
from .core import XtroveError as XtroveError
