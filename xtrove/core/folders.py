"""Folders for what is ours alone: caches, work folders, indexes.

An index or a work file holds the code of a folder that others may not be allowed to read.
Method: the folder is made 0700, and one that is ours already is tightened; what lies below it is
out of reach of others then, whatever its own mode is. Cost: one `stat`.
Limits: parents that have to be made get the modes of the umask. A folder of another user is used
as it is.
"""

from __future__ import annotations

import os
from pathlib import Path

MODE = 0o700


def private_folder(path: Path) -> Path:
    """The folder, made where it is not there, closed to others where it is ours. `OSError`."""
    path.mkdir(mode=MODE, parents=True, exist_ok=True)
    facts = path.stat()
    if facts.st_uid == os.getuid() and facts.st_mode & 0o077:
        path.chmod(MODE)
    return path
