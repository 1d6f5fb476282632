"""Imported for its effect: the rooms come before the scripts of this folder in the search path.

Python puts the folder of a script first, and this one has an `ingest.py` and a `train.py` in it,
which would be taken for the rooms of those names.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
