"""What of a commit message is a question, and which messages are none."""

from __future__ import annotations

import pytest

from ingest.sources.git_history.messages import REASONS, BadMessage, clean_message


@pytest.mark.parametrize(
    ("message", "question"),
    [
        ("Pass the route options to the router\n", "Pass the route options to the router"),
        ("fix(router): keep trailing slashes (#12)", "keep trailing slashes"),
        ("feat!: stream bodies of requests. Closes #7", "stream bodies of requests"),
        ("GH-31: Do not lose the last row", "Do not lose the last row"),
        ("[3.x] Escape quotes in attribute values", "Escape quotes in attribute values"),
        (":bug: Escape quotes in attribute values", "Escape quotes in attribute values"),
        ("Fixed #8123 -- Made the parser keep blank values.", "Made the parser keep blank values."),
        ("Handle JIRA-1 like everything else in headers", "Handle like everything else in headers"),
        ("Add error_for_status", "Add error_for_status"),
        ("Add headers to the redirected response", "Add headers to the redirected response"),
        (
            "Retry reads of closed sockets\n\nA peer closes early. The read\nfails at once.\n"
            "\nSecond paragraph.\n\nSigned-off-by: A B <a@example.org>\n",
            "Retry reads of closed sockets. A peer closes early. The read fails at once.",
        ),
        ("Cache parsed rows\n\n* one\n* two\n", "Cache parsed rows"),
        ("Cache parsed rows\n\nx = {a: [1]};\nf(x);\n", "Cache parsed rows"),
        ("Cache parsed rows\n\nwithout an end of any kind\n", "Cache parsed rows"),
        ("Cache parsed rows\r\n\r\nRows are slow.\r\n", "Cache parsed rows. Rows are slow."),
    ],
)
def test_the_question_in_a_message(message: str, question: str) -> None:
    assert clean_message(message, "Ann <ann@example.org>") == question


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ('Revert "Cache parsed rows"', "commit_reverts"),
        ("Merge branch 'main' into topic", "commit_reverts"),
        ("v1.2.3", "commit_releases"),
        ("Release 2.0", "commit_releases"),
        ("Bump version to 1.4", "commit_releases"),
        ("Prepare for the 3.1 release", "commit_releases"),
        ("Update the changelog for parser changes", "commit_releases"),
        ("Bump lodash from 4.17.1 to 4.17.2", "commit_bumps_dependency"),
        ("Update dependencies and tools", "commit_bumps_dependency"),
        ("chore: cache parsed rows", "commit_keeps_house"),
        ("docs: say how rows are cached", "commit_keeps_house"),
        ("Fix typo in the parser of rows", "commit_keeps_house"),
        ("Add more tests for the parser", "commit_keeps_house"),
        ("Remove unused imports", "commit_keeps_house"),
        ("Refactor the parser of rows", "commit_keeps_house"),
        ("Fix whitespace in several modules", "commit_keeps_house"),
        ("Fix bug", "commit_names_nothing"),
        ("Some more fixes for this and that", "commit_names_nothing"),
        ("", "commit_names_nothing"),
    ],
)
def test_messages_that_ask_nothing(message: str, reason: str) -> None:
    with pytest.raises(BadMessage, match=reason):
        clean_message(message, "Ann <ann@example.org>")
    assert reason in REASONS


def test_a_program_is_no_author() -> None:
    for author in ("dependabot[bot] <x@example.org>", "Renovate Bot <r@example.org>"):
        with pytest.raises(BadMessage, match="commit_by_bot"):
            clean_message("Cache parsed rows of tables", author)
    assert clean_message("Cache parsed rows of tables", "Abbott <abbott@example.org>")
