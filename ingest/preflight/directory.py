"""First contact with folders, archives and git addresses.

Method: what lies on this machine is planned as a build plans it (`ingest.preflight.whole`); of a
git address the reference is resolved, which shows that it is there and open, and nothing is
fetched: a build fetches that commit once a machine. Cost: one `ls-remote` for an address.
Limits: the files and licences of an address are not seen.
"""

from __future__ import annotations

from ingest.files import is_git_url, parse, resolve
from ingest.licenses import LicensePolicy
from ingest.preflight import whole as contact_whole
from ingest.preflight.access import attempt
from ingest.preflight.findings import Findings
from ingest.sources import DirectoryOptions, directory


def contact(
    options: DirectoryOptions, policy: LicensePolicy, findings: Findings, seconds: float
) -> None:
    """Note what is found; `seconds` bound the digesting of files."""
    if is_git_url(options.path):
        commit = attempt(findings, "revision", lambda: resolve(parse(options.path)))
        if commit is not None:
            findings.revision = commit
            findings.good("revision", commit)
            findings.good("layout", "not looked at: a build fetches this commit once a machine")
        return
    name = findings.source
    contact_whole.contact(
        lambda progress: directory.plan(options, name, policy, None, progress),
        lambda piece, revision: directory.read(options, name, policy, piece, revision),
        findings,
        seconds,
    )
