"""Records that are judged by what their files say: both licences must pass, both are recorded."""

from __future__ import annotations

from pathlib import Path

from ingest.licenses.file_license import FILE_NOT_PERMISSIVE, FILE_UNKNOWN, judged
from ingest.licenses.policy import LicensePolicy
from ingest.records import Skip, SourceFile, SourcePair
from ingest.sources.registry import read
from ingest.sources.the_stack.source import TheStackOptions, plan
from tests.ingest.licenses.test_file_license import GPL_NOTICE, commented
from tests.ingest.stack_tables import row, write


def record(head: str) -> SourceFile:
    return SourceFile(
        source="s",
        source_revision="r",
        repo="a/b",
        path="src/a.java",
        revision="",
        url="",
        language="java",
        content=commented("java", 0, head),
        licenses=("Apache-2.0",),
        license_evidence="LICENSE: text of Apache-2.0",
        stars=-1,
        row=7,
    )


def judge(
    record: SourceFile | SourcePair, policy: LicensePolicy | None = None
) -> SourceFile | SourcePair | Skip:
    [out] = judged(policy or LicensePolicy(), iter([record]))
    return out


def test_both_licences_must_pass_and_both_are_recorded() -> None:
    out = judge(record("Licensed under the MIT license."))
    assert isinstance(out, SourceFile)
    assert out.licenses == ("Apache-2.0", "MIT")
    assert out.license_evidence == (
        "LICENSE: text of Apache-2.0; head of the file: 'licensed under mit license'"
    )
    assert judge(record("Nothing.")) == record("Nothing.")


def test_what_is_refused_says_by_which_words() -> None:
    assert judge(record(GPL_NOTICE)) == Skip(
        language="java",
        reason=FILE_NOT_PERMISSIVE,
        row=7,
        detail="src/a.java: head of the file: 'redistribute under gnu general public license'",
        fact="head of the file: 'redistribute under gnu general public license'",
    )
    out = judge(record("SPDX-License-Identifier: Acme"))
    assert isinstance(out, Skip) and out.reason == FILE_UNKNOWN


def test_the_policy_of_the_config_decides() -> None:
    gpl = LicensePolicy(allow=("GPL-3.0-or-later", "Apache-2.0"))
    out = judge(record(GPL_NOTICE), gpl)
    assert isinstance(out, SourceFile) and out.licenses == ("Apache-2.0", "GPL-3.0-or-later")
    out = judge(record("SPDX-License-Identifier: Acme"), LicensePolicy(unknown="keep"))
    assert isinstance(out, SourceFile) and out.licenses == ("Apache-2.0", "NOASSERTION")
    out = judge(record("Proprietary and confidential"), LicensePolicy(unknown="keep"))
    assert isinstance(out, Skip) and out.reason == FILE_NOT_PERMISSIVE


def test_rows_of_the_stack_are_judged_by_their_own_words(tmp_path: Path) -> None:
    notice = "# SPDX-License-Identifier: GPL-3.0-only\n"
    write(
        tmp_path / "data/python/data-00000-of-00001.parquet",
        [row(1, content=notice + "def f(): pass\n"), row(2)],
    )
    options = TheStackOptions.model_validate({"path": str(tmp_path)})
    policy = LicensePolicy()
    listing = plan(options, "stack", policy)
    [piece] = listing.slices
    first, second = read(options, "stack", policy, piece, listing.revision)
    assert isinstance(first, Skip) and first.reason == FILE_NOT_PERMISSIVE
    assert isinstance(second, SourceFile)


def test_a_ready_pair_is_judged_by_the_comment_that_it_begins_with() -> None:
    pair = SourcePair(
        source="s", source_revision="r", repo="a/b", path="a.py", revision="", url="",
        language="python", query="q", code="# SPDX-License-Identifier: GPL-2.0-only\ndef f(): 1\n",
        name="f", start_line=-1, end_line=-1, start_byte=-1, end_byte=-1, licenses=("MIT",),
        license_evidence="column license", stars=-1, row=3,
    )  # fmt: skip
    out = judge(pair)
    assert isinstance(out, Skip) and (out.reason, out.row) == (FILE_NOT_PERMISSIVE, 3)
