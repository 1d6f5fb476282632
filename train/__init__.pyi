from .config import TrainConfig as TrainConfig
from .cpu_matmul import quick_products as quick_products
from .device import choose_device as choose_device
from .device import resolve_device as resolve_device
from .distributed import Processes as Processes
from .errors import Mismatch as Mismatch
from .errors import Stopped as Stopped
from .errors import TrainingFault as TrainingFault
