"""`forget` leaves no byte of a name in the texts of a work folder."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xtrove.commands.scrubbing import GONE, names_any, scrub
from xtrove.runtime.workspace import Receipt, Workspace

NAME = "bêta/tools"
FORMS = (
    "Bêta/Tools",
    "B%C3%AAta/Tools",
    "B%C3%8Ata%2FTools",
    r"B\u00eata/Tools",
    r"B\u00CAta\/Tools",
)


@pytest.mark.parametrize("form", FORMS)
def test_a_name_is_known_in_every_form(form: str) -> None:
    assert names_any(f'{{"url": "https://host/{form}/blob"}}', [NAME])
    assert not names_any(f'{{"url": "https://host/{form[:-1]}/blob"}}', [NAME])


def test_a_name_outside_of_the_basic_plane_is_known() -> None:
    assert names_any(json.dumps("o/\U0001f642x"), ["o/\U0001f642x"])


def test_no_form_of_the_name_is_left(tmp_path: Path) -> None:
    workspace = Workspace(work=tmp_path / "work", output=tmp_path / "out")
    for number, form in enumerate(FORMS):
        raw = f'{{"repo": "{form}"}}\n'.encode()
        workspace.write_json(workspace.plan_path("other"), {"repo": "alpha/core"})
        for name in (f"plan/slices/{number}", f"logs/{number}.jsonl", f"outputs/{number}.json"):
            for root in (workspace.work, workspace.output / ".xtrove"):
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(raw)
        log = workspace.work / f"logs/{number}.jsonl"
        log.write_bytes(b'{"event": "before"}\n' + raw + b'{"event": "after"}\n')
        with workspace.task_folder("holdout", f"k{number}") as folder:
            (folder / "set.jsonl").write_bytes(raw)
        facts = {"quarantined": [[form, "corrupt"]]}
        receipt = Receipt(stage="select", key=f"r{number}", outputs={}, facts=facts, seconds=1.0)
        workspace.write_receipt(receipt)
    with workspace.task_folder("holdout", "table") as folder:
        pq.write_table(pa.table({"repo": ["Bêta/Tools"]}), folder / "a.parquet")
    with workspace.task_folder("holdout", "kept") as folder:
        (folder / "set.jsonl").write_text("alpha/core", encoding="utf-8")
    scrub(workspace, [NAME])
    for path in tmp_path.rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            assert not names_any(text, [NAME]), path
            assert not [form for form in FORMS if form in text], path
    kept = (workspace.work / "logs/0.jsonl").read_text(encoding="utf-8")
    assert kept == '{"event": "before"}\n{"event": "after"}\n'
    assert json.loads((workspace.work / "outputs/0.json").read_bytes()) == {"repo": GONE}
    assert workspace.plan_path("other").exists()
    assert [path.name for path in (workspace.work / "files/holdout").iterdir()] == ["kept"]
    assert workspace.receipt("select", "r0") is None
