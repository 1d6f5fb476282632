"""Words that take back what a permissive licence text beside them grants.

Method: the folded text is searched for wordings that stand in no permissive licence: names of
licences that restrict use, their operative sentences, and the sentences by which a repository
sets parts of itself apart. One of them is enough: what else the text grants counts no more.
Cost: one search a phrase, about 0.1 ms for a licence file. Limits: a restriction in words of
its author's own is not seen. Source: beside each phrase, the text that it is taken from.
"""

from __future__ import annotations

import re

LIMITS: tuple[tuple[str, str], ...] = (
    # commonsclause.com; the second is its condition, found where its name was left out.
    ("commons clause", "Commons Clause"),
    ("right to sell the software", "Commons Clause"),
    # spdx.org/licenses/JSON
    ("shall be used for good not evil", "JSON"),
    # fsl.software and spdx.org/licenses/FSL-1.1-MIT; fair.io for those derived from it.
    ("functional source license", "FSL-1.1"),
    ("grant of future license", "FSL-1.1"),
    ("fair core license", "FCL-1.0"),
    # spdx.org/licenses/BUSL-1.1
    ("business source license", "BUSL-1.1"),
    ("additional use grant", "BUSL-1.1"),
    # firstdonoharm.dev; versions 1.x are the text of MIT with this sentence.
    ("hippocratic license", "Hippocratic"),
    ("actively and knowingly endanger harm", "Hippocratic"),
    ("do no harm license", "Do No Harm"),
    # github.com/996icu/996.ICU
    ("anti 996 license", "Anti-996"),
    # spdx.org/licenses: SSPL-1.0, Elastic-2.0, PolyForm-*; prosperitylicense.com
    ("server side public license", "SSPL-1.0"),
    ("elastic license", "Elastic-2.0"),
    ("polyform noncommercial", "PolyForm"),
    ("polyform small business", "PolyForm"),
    ("polyform shield", "PolyForm"),
    ("polyform strict", "PolyForm"),
    ("polyform internal use", "PolyForm"),
    ("prosperity public license", "Prosperity"),
    # Licences of single vendors: n8n.io, redis.io, timescale.com, confluent.io, cockroachlabs.com
    ("sustainable use license", "Sustainable Use"),
    ("source available license", "source available"),
    ("timescale license", "Timescale"),
    ("confluent community license", "Confluent"),
    ("cockroachdb community license", "CockroachDB"),
    # licenses.ai: the condition of every RAIL licence.
    ("use based restrictions", "RAIL"),
    # Open core: gitlab.com, posthog.com, cal.com set `ee/` apart in the file that grants MIT.
    ("enterprise license", "open core"),
    ("enterprise edition license", "open core"),
    ("content outside of the above mentioned directories", "open core"),
    ("variously licensed under", "open core"),
    # Permissive texts with conditions added: dify.ai and others derived from Apache-2.0.
    ("modified version of the apache license", "conditions added"),
    ("modified version of the mit license", "conditions added"),
    ("with the following additional conditions", "conditions added"),
    ("with the following additional restrictions", "conditions added"),
    # Non-commercial use alone: creativecommons.org/licenses/by-nc and texts of their authors.
    ("attribution noncommercial", "CC-BY-NC"),
    ("attribution non commercial", "CC-BY-NC"),
    ("non commercial use only", "non-commercial"),
    ("noncommercial use only", "non-commercial"),
    ("non commercial purposes only", "non-commercial"),
    ("noncommercial purposes only", "non-commercial"),
    ("only for non commercial", "non-commercial"),
    ("only for noncommercial purposes", "non-commercial"),
    ("not for commercial use", "non-commercial"),
    ("may not be used for commercial purposes", "non-commercial"),
    ("commercial use is prohibited", "non-commercial"),
    ("commercial use is strictly prohibited", "non-commercial"),
    ("commercial use is not permitted", "non-commercial"),
    ("commercial use is not allowed", "non-commercial"),
    ("commercial use requires a", "non-commercial"),
)
"""Folded phrase and the restriction that it belongs to."""

_NOTICE = re.compile(
    r"\bthe license\b(?= you may not use)"
    r"|\byou may not use this (?:file|software|work) except in compliance with the license\b"
    r"|\byou may obtain a copy of the license at\b|\ba copy of the license is located at\b"
    r"|\bor in the license file accompanying this file\b"
    r"|\bunless required by applicable law or agreed to in writing(?: this)? (?:software|file)\b"
    r"|\b(?:this file is )?distributed (?:under the license is distributed )?on an as is basis"
    r" without warranties or conditions of any kind(?: either)? express or implied\b"
    r"|\bsee the license for the specific language governing permissions and limitations"
    r" under the license\b"
    r"|\bhttps? www apache org licenses(?: license 2 0)?(?: txt| html)?\b"
    r"|\bapache(?: software)? license(?: version)? 2 0\b"
    r"|\b(?:please )?see (?:the )?licen[sc]e(?: file)?(?: for (?:more )?(?:details|information))?\b"
)
_MAX_BESIDE = 12
_SETS_APART = re.compile(
    r"\b(?:except|excepting|exceptions?|exclud(?:ing|e|ed)|others?|otherwise|under|portions|parts"
    r"|proprietary|commercial|commercially|enterprise|restrictions?|conditions?|only|not|unless|but"
    r"|licen[sc]e[sd]?)\b"
)


def limit_in(folded: str) -> tuple[str, str] | None:
    """The first phrase of `LIMITS` in a folded text and what it belongs to; None without one."""
    return next((limit for limit in LIMITS if limit[0] in folded), None)


def is_bare_notice(folded: str, grant: str) -> bool:
    """Whether a folded text, copyright lines taken out, is little more than `grant` and the
    wording of the Apache notice: at most 12 words, none of which sets something apart."""
    beside = _NOTICE.sub(" ", folded.replace(grant, " ", 1))
    return len(beside.split()) <= _MAX_BESIDE and _SETS_APART.search(beside) is None
