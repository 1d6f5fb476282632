from .findings import Check as Check
from .findings import Contact as Contact
from .findings import Findings as Findings
from .findings import Reading as Reading
from .registry import contact as contact
from .registry import findings_of as findings_of
