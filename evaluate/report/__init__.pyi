from .page import MARK as MARK
from .page import Report as Report
from .page import Request as Request
from .page import render as render
from .registry import REPORTS as REPORTS
