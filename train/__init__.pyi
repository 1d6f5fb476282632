from .config import TrainConfig as TrainConfig
from .cpu_matmul import quick_products as quick_products
from .device import choose_device as choose_device
from .device import resolve_device as resolve_device
from .distributed import Processes as Processes
from .document_template import DocumentTemplate as DocumentTemplate
from .errors import TrainingFault as TrainingFault
