from .config import TrainConfig as TrainConfig
from .cpu_matmul import quick_products as quick_products
from .device import choose as choose
from .device import place_of as place_of
from .distributed import Processes as Processes
from .errors import Mismatch as Mismatch
from .errors import Stopped as Stopped
from .errors import TrainingFault as TrainingFault
