from .redactor import published_name as published_name
from .redactor import redact as redact
from .redactor import safe_detail as safe_detail
