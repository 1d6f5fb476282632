from .options import ExtractOptions as ExtractOptions
from .options import FilterOptions as FilterOptions
from .options import RedactKind as RedactKind
from .options import RowLimits as RowLimits
from .pair import DroppedPair as DroppedPair
from .pair import Pair as Pair
from .pair import pair_id as pair_id
