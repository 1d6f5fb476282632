"""Stage holdout: the validation and test rows of a source -> evaluation sets.

CodeSearchNet's own valid and test parts must not come back through its train part, or through
any other source. One JSON-lines file a part and language, its queries normalised as the extract
stage normalises documentation, so that equal docstrings meet. Memory: one row.
"""

from __future__ import annotations

import json
import re
from contextlib import ExitStack
from typing import Any, TextIO

from extract.text import normalise_query
from ingest import LANGUAGES
from ingest.sources import source_of
from xtrove.runtime import Workspace
from xtrove.stages.task_settings import settings, share


def run(workspace: Workspace, key: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Write the sets of one source; a file is called `<source>+<part>+<language>.jsonl`."""
    chosen = settings(workspace.plan_path(spec["settings"]))
    read = source_of(chosen.source).holdout
    if read is None:
        raise TypeError(f"{chosen.name!r} of kind {chosen.source.kind} holds nothing out")
    counts: dict[str, int] = {}
    with workspace.task_folder("holdout", key) as folder, ExitStack() as stack:
        files: dict[str, TextIO] = {}
        for row in read(chosen.source, chosen.revision, limits=share(spec)):
            if row.language not in LANGUAGES:
                continue
            part = re.sub(r"[^A-Za-z0-9_.-]", "+", row.set.rpartition("/")[2])
            name = f"{chosen.name}+{part}+{row.language}"
            if name not in files:
                path = folder / f"{name}.jsonl"
                files[name] = stack.enter_context(path.open("w", encoding="utf-8"))
            query = normalise_query(row.query, row.language, "docstring").text
            if query or row.code:
                line = {"id": row.item, "query": query, "code": row.code}
                files[name].write(json.dumps(line) + "\n")
                counts[name] = counts.get(name, 0) + 1
        for name in files.keys() - counts.keys():
            (folder / f"{name}.jsonl").unlink()
    return {"rows": counts}
