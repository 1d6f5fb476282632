from .quality_score import quality as quality
from .query import cut_query as cut_query
from .query import fold as fold
from .query import normalise_query as normalise_query
from .words import last_component as last_component
from .words import name_words as name_words
from .words import word_set as word_set
