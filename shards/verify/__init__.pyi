from .dataset import check_dataset as check_dataset
from .files import check_files as check_files
