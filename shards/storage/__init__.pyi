from . import arrow_columns as arrow_columns
from .arrow_columns import table as table
from .bounded_parquet import BoundedParquet as BoundedParquet
from .bounded_parquet import open_parquet as open_parquet
from .findings import Finding as Finding
from .findings import Findings as Findings
from .findings import Progress as Progress
from .findings import Report as Report
