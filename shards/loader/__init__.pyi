from .batch_plan import PlanError as PlanError
from .batch_plan import PlanOptions as PlanOptions
from .reader import Reader as Reader
from .state import Select as Select
from .state import State as State
from .state import StateError as StateError
from .torch_loader import Feed as Feed
from .torch_loader import Loader as Loader
