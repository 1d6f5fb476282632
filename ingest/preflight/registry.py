"""First contact with every kind of source: access, layout, schema, licences, size, a row.

Method: the config's kind chooses the function; each notes into the same `Findings` what it
finds, in the order of asking, and stops where nothing more can be asked.
Cost: seconds and some dozens of requests a source; nothing is kept on disk. Limits: a sample
shows that a build would work, not that every file is whole.
"""

from __future__ import annotations

from typing import assert_never

from ingest.licenses import LicensePolicy
from ingest.preflight import codesearchnet as contact_csn
from ingest.preflight import common_pile as contact_pile
from ingest.preflight import directory as contact_directory
from ingest.preflight import pairs as contact_pairs
from ingest.preflight import the_stack as contact_stack
from ingest.preflight import the_stack_v2 as contact_stack_v2
from ingest.preflight import whole as contact_whole
from ingest.preflight.findings import Findings
from ingest.sources import SourceOptions
from ingest.sources.codesearchnet import CodeSearchNetOptions
from ingest.sources.directory import DirectoryOptions
from ingest.sources.installed import InstalledOptions
from ingest.sources.installed import source as installed
from ingest.sources.pairs import PairsOptions
from ingest.sources.the_stack import TheStackOptions
from ingest.sources.the_stack_v2 import CommonPileOptions, TheStackV2Options
from ingest.transport import ReadLimits


def findings_of(options: SourceOptions, name: str) -> Findings:
    """An empty sheet for a source."""
    place = "" if isinstance(options, InstalledOptions) else options.path
    return Findings(
        source=name,
        kind=options.kind,
        place=place,
        opted_out=options.opt_out,
        quota=options.max_per_language,
    )


def contact(
    options: SourceOptions,
    policy: LicensePolicy,
    findings: Findings,
    limits: ReadLimits,
    seconds: float,
) -> None:
    """Look at a source whose paths are absolute; `seconds` is what a first look may take."""
    findings.policy = policy
    name = findings.source
    match options:
        case InstalledOptions():
            contact_whole.contact(
                lambda progress: installed.plan(options, name, policy, None, progress),
                lambda piece, revision: installed.read(options, name, policy, piece, revision),
                findings,
                seconds,
            )
        case DirectoryOptions():
            contact_directory.contact(options, policy, findings, seconds)
        case PairsOptions():
            contact_pairs.contact(options, policy, findings, limits)
        case TheStackOptions():
            contact_stack.contact(options, policy, findings, limits)
        case TheStackV2Options():
            contact_stack_v2.contact(options, policy, findings, limits)
        case CodeSearchNetOptions():
            contact_csn.contact(options, policy, findings, limits)
        case CommonPileOptions():
            contact_pile.contact(options, policy, findings, limits)
        case _ as unreachable:
            assert_never(unreachable)
