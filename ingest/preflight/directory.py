"""First contact with folders, archives and git addresses.

Method: what lies on this machine is planned as a build plans it (`ingest.preflight.whole`); of a
git address the reference is resolved, which shows that it is there and open, and nothing is
fetched: a build fetches that commit once a machine. Cost: one `ls-remote` for an address.
Limits: the files and licences of an address are not seen.
"""

from __future__ import annotations

from ingest.licenses import LicensePolicy
from ingest.preflight import whole as contact_whole
from ingest.preflight.findings import Findings
from ingest.sources.directory import DirectoryOptions
from ingest.sources.directory import source as directory


def contact(
    options: DirectoryOptions, policy: LicensePolicy, findings: Findings, seconds: float
) -> None:
    """Note what is found; `seconds` bound the digesting of files."""
    name = findings.source
    contact_whole.contact(
        lambda progress: directory.plan(options, name, policy, None, progress),
        lambda piece, revision: directory.read(options, name, policy, piece, revision),
        findings,
        seconds,
    )
