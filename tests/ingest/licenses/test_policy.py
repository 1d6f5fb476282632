"""The licence gate: SPDX expressions against the frozen list."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ingest.licenses.policy import (
    NOT_PERMISSIVE,
    RESTRICTED,
    UNKNOWN,
    LicensePolicy,
    is_known,
    is_permissive,
    normalise,
    permissive_ids,
)

TABLE: list[tuple[list[str], str | None]] = [
    (["MIT"], None),
    (["mit"], None),
    ([" MIT "], None),
    (["MIT", "Apache-2.0"], None),
    (["MIT OR GPL-3.0-only"], None),
    (["GPL-3.0-only OR AGPL-3.0-only"], NOT_PERMISSIVE),
    (["MIT AND GPL-3.0-only"], NOT_PERMISSIVE),
    (["MIT AND (BSD-3-Clause OR GPL-2.0)"], None),
    (["Apache-2.0 WITH LLVM-exception"], None),
    (["GPL-2.0-only WITH Classpath-exception-2.0"], NOT_PERMISSIVE),
    (["MIT WITH MIT"], UNKNOWN),
    (["LLVM-exception"], UNKNOWN),
    (["MIT", "GPL-3.0"], NOT_PERMISSIVE),
    (["MPL-2.0"], NOT_PERMISSIVE),
    (["LGPL-2.1-or-later"], NOT_PERMISSIVE),
    (["EPL-2.0"], NOT_PERMISSIVE),
    (["CDDL-1.0"], NOT_PERMISSIVE),
    ([], UNKNOWN),
    ([""], UNKNOWN),
    (["   "], UNKNOWN),
    (["NOASSERTION"], UNKNOWN),
    (["NONE"], UNKNOWN),
    (["Proprietary words here"], UNKNOWN),
    (["MIT/Apache-2.0"], UNKNOWN),
    (["MIT AND"], UNKNOWN),
    (["((((MIT"], UNKNOWN),
    (["MIT", "what is this"], UNKNOWN),
    (["GPL-3.0-only", "what is this"], NOT_PERMISSIVE),
    (["MIT OR " * 400 + "MIT"], UNKNOWN),
]


@pytest.mark.parametrize(("licenses", "expected"), TABLE)
def test_refusal(licenses: list[str], expected: str | None) -> None:
    assert LicensePolicy().refusal(licenses) == expected
    assert is_permissive(licenses) == (expected is None)


def test_normalise_sorts_cases_and_splits() -> None:
    assert normalise(["mit", "apache-2.0", "MIT"]) == ("Apache-2.0", "MIT")
    assert normalise(["mit and bsd-3-clause"]) == ("BSD-3-Clause", "MIT")
    assert normalise(["GPL-3.0"]) == ("GPL-3.0-only",)
    assert normalise(["rubbish words", "ISC"]) == ("ISC",)
    assert normalise(["Apache-2.0 WITH LLVM-exception"]) == ("Apache-2.0 WITH LLVM-exception",)
    assert len(normalise(["MIT OR Apache-2.0"])) == 1


def test_unknown_can_be_kept_but_never_what_is_refused() -> None:
    policy = LicensePolicy(unknown="keep")
    assert policy.refusal([]) is None
    assert policy.recorded([]) == ("NOASSERTION",)
    assert policy.refusal(["MIT", "odd one"]) is None
    assert policy.recorded(["MIT", "odd one"]) == ("MIT", "NOASSERTION")
    assert policy.refusal(["GPL-3.0-only"]) == NOT_PERMISSIVE
    assert policy.refusal(["MIT", RESTRICTED]) == NOT_PERMISSIVE
    assert LicensePolicy().recorded(["mit"]) == ("MIT",)


def test_own_list_replaces_the_permissive_one() -> None:
    policy = LicensePolicy(allow=("mpl-2.0", "MIT"))
    assert policy.allow == ("MIT", "MPL-2.0")
    assert policy.refusal(["MPL-2.0"]) is None
    assert policy.refusal(["Apache-2.0"]) == NOT_PERMISSIVE


@pytest.mark.parametrize(
    "bad", [["nonsense"], [], ["MIT OR ISC"], ["Apache-2.0 WITH LLVM-exception"]]
)
def test_bad_lists_are_refused(bad: list[str]) -> None:
    with pytest.raises(ValidationError):
        LicensePolicy(allow=tuple(bad))


def test_digest_follows_the_rule_not_its_spelling() -> None:
    base = LicensePolicy()
    assert base.policy_digest() == LicensePolicy(allow=tuple(permissive_ids())).policy_digest()
    assert base.policy_digest() != LicensePolicy(unknown="keep").policy_digest()
    assert base.policy_digest() != LicensePolicy(allow=("MIT",)).policy_digest()


def test_frozen_list_is_spdx_and_free_of_copyleft() -> None:
    ids = permissive_ids()
    assert all(is_known(item) for item in ids)
    core = "MIT MIT-0 Apache-2.0 BSD-2-Clause BSD-3-Clause 0BSD ISC Zlib BSL-1.0 Unlicense CC0-1.0"
    assert ids >= set(core.split()) | {"BlueOak-1.0.0", "PSF-2.0", "Python-2.0", "UPL-1.0"}
    families = ("GPL", "LGPL", "AGPL", "MPL", "EPL", "CDDL", "EUPL", "OSL", "CC-BY", "SSPL")
    assert not [item for item in ids if item.startswith(families)]


@given(st.lists(st.text(max_size=30), max_size=3))
def test_no_text_breaks_the_gate_or_passes_unknown(texts: list[str]) -> None:
    verdict = LicensePolicy().refusal(texts)
    assert verdict in (None, UNKNOWN, NOT_PERMISSIVE)
    if verdict is None:
        assert normalise(texts)
