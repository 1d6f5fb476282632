from . import build as build
from . import opt_out as opt_out
from .build import NOT_IN_DIGEST as NOT_IN_DIGEST
from .build import BuildConfig as BuildConfig
from .build import without_places as without_places
from .opt_out import OptOuts as OptOuts
from .train import as_yaml as as_yaml
from .train import load as load
