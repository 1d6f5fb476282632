from .resolve import spec_corpus as spec_corpus
from .spec import SpecError as SpecError
from .spec import load_spec as load_spec
