from .dataset import Help as Help
from .dataset import dataset_page as dataset_page
from .evaluation import evaluation_page as evaluation_page
from .training import RUN as RUN
from .training import TRAINING as TRAINING
from .training import RunError as RunError
from .training import training_page as training_page
