from .inventory import Survey as Survey
from .inventory import nearest as nearest
from .inventory import repo_names as repo_names
from .inventory import survey as survey
from .rewrite import finish as finish
from .rewrite import prepare as prepare
