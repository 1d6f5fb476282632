"""First contact with the place of a source: the token, the revision, what is listed.

Method: on the Hub the token is shown to `whoami` (once a process) before anything else is asked,
so that a wrong one is not mistaken for a missing permission. The token itself is never part of
what is found. Cost: one request. Limits: a mirror without `whoami` cannot say whose it is.
Source: https://huggingface.co/docs/hub/api (`/api/whoami-v2`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import TypeVar

from huggingface_hub import constants

from ingest.errors import SourceError, TransientFault
from ingest.preflight.findings import Findings
from ingest.storage import Entry, digested, identity, is_local
from ingest.transport import Question, ReadLimits, Refused, ask, bearer

T = TypeVar("T")
NO_TOKEN = "none found: enough for open data sets, not for gated or private ones"
TOKEN_REMEDY = (
    "Make a read token at {endpoint}/settings/tokens and set HF_TOKEN to it (or run "
    "`hf auth login`), on every machine that builds."
)


def show_token(findings: Findings, path: str, limits: ReadLimits) -> None:
    """For a path on the Hub: whether there is a token, and whether it is accepted; in S3: whose
    keys are used."""
    if path.startswith("s3://"):
        keys = attempt(findings, "keys", lambda: identity(limits))
        if keys is not None:
            findings.good("keys", keys)
    if not path.startswith("hf://"):
        return
    try:
        ok, found = _whoami(limits)
    except (SourceError, TransientFault) as error:
        findings.fault("token", error)
        return
    if ok:
        findings.good("token", found)
    else:
        remedy = TOKEN_REMEDY.format(endpoint=constants.ENDPOINT.rstrip("/"))
        findings.bad("token", found, remedy)


def attempt(findings: Findings, name: str, call: Callable[[], T]) -> T | None:
    """The answer of a call, or None and its fault noted under `name`."""
    try:
        return call()
    except (SourceError, TransientFault) as error:
        findings.fault(name, error)
    except OSError as error:
        findings.bad(name, f"{error.strerror or error}: {error.filename or ''}".rstrip(": "),
                     "Mend what it names, or name another path.")  # fmt: skip
    return None


def note_layout(
    findings: Findings, files: Mapping[str, Iterable[Entry]], what: str = "files"
) -> dict[str, list[Entry]]:
    """Note languages and files found; gives the files by language, each sorted by name."""
    held = {key: sorted(found, key=lambda e: e.name) for key, found in sorted(files.items())}
    findings.languages = {key: len(found) for key, found in held.items()}
    total = sum(map(len, held.values()))
    size = sum(max(entry.size, 0) for found in held.values() for entry in found)
    words = ", ".join(f"{key or 'mixed'} {len(found):,}" for key, found in held.items())
    findings.good("layout", f"{total:,} {what} of {size:,} bytes ({words})")
    return held


def note_revision(findings: Findings, revision: str) -> None:
    """Note the commit that was pinned, or what stands for one."""
    findings.revision = revision
    findings.good(
        "revision", revision or "none of its own: a build digests the files and takes that"
    )


def sized(entry: Entry, limits: ReadLimits) -> Entry:
    """The entry with size and digest, where a listing elsewhere had none."""
    if is_local(entry.uri) or entry.digest:
        return entry
    return digested([entry], None, limits)[0]


@cache
def _whoami(limits: ReadLimits) -> tuple[bool, str]:
    """Whether the token (or its absence) is as it should be, and what to say of it."""
    endpoint = constants.ENDPOINT.rstrip("/")
    token = bearer(endpoint)
    if not token:
        return True, NO_TOKEN
    origin = "HF_TOKEN" if os.environ.get("HF_TOKEN") else "the login of this machine"
    question = Question(
        url=f"{endpoint}/api/whoami-v2",
        limits=limits,
        home=endpoint,
        headers={**token, "User-Agent": "xtrove"},
    )
    try:
        answer = ask(question)
    except Refused as error:
        if error.status in (401, 403):
            return False, f"the one from {origin} is not accepted (HTTP {error.status})"
        return True, f"found in {origin}; {endpoint} cannot say whose it is"
    return True, f"found in {origin}, accepted for {_name(answer.body)}"


def _name(body: bytes) -> str:
    try:
        facts = json.loads(body)
    except (ValueError, RecursionError):
        return "an account"
    name = facts.get("name") if isinstance(facts, dict) else None
    return f"the account {name[:100]}" if isinstance(name, str) else "an account"
