"""Keys by form, by name and by place: every kind is found in every context, and nothing else.

The samples are drawn from fixed seeds: see `secret_samples` and `no_secret_samples`.
"""

from __future__ import annotations

import time
from collections import defaultdict

import pytest

from extract.redaction.key_formats import FORMATS
from extract.redaction.keys import key_spans, redact_keys
from extract.redaction.randomness import is_password, is_random
from extract.redaction.redactor import redact
from tests.extract import no_secret_samples, secret_samples

BY_ISSUER: dict[str, list[str]] = defaultdict(list)
for issuer, key in secret_samples.formed():
    BY_ISSUER[issuer].append(key)
BY_KIND: dict[str, list[tuple[str, str]]] = defaultdict(list)
for kind, text, secret in secret_samples.named():
    BY_KIND[kind].append((text, secret))


def test_the_samples_are_many() -> None:
    assert len({key for keys in BY_ISSUER.values() for key in keys}) >= 300
    assert len({text for cases in BY_KIND.values() for text, _ in cases}) >= 300
    assert len(no_secret_samples.lines()) >= 200


@pytest.mark.parametrize("issuer", BY_ISSUER)
def test_keys_with_a_form_go_wherever_they_stand(issuer: str) -> None:
    for key in BY_ISSUER[issuer]:
        for context in secret_samples.CONTEXTS:
            text = context.format(key)
            # The end of an address goes, its beginning may stay.
            before, after = context.format("\0").split("\0")
            redacted, count = redact_keys(text)
            assert count == 1, text
            assert redacted.startswith(before) and redacted.endswith("<KEY>" + after), text
            assert key[-24:] not in redacted and redact_keys(redacted) == (redacted, 0)


@pytest.mark.parametrize("kind", BY_KIND)
def test_secrets_beside_their_names_go(kind: str) -> None:
    for text, secret in BY_KIND[kind]:
        redacted, count = redact_keys(text)
        assert secret not in redacted and count == 1, text
        assert redact_keys(redacted) == (redacted, 0), text


@pytest.mark.parametrize("block", list(secret_samples.private_keys()), ids=lambda pair: pair[0])
def test_private_key_blocks_go(block: tuple[str, str]) -> None:
    assert redact_keys(f'x = """{block[1]}"""') == ('x = """<KEY>"""', 1)


@pytest.mark.parametrize("kind", no_secret_samples.KINDS)
def test_what_is_no_secret_stays(kind: str) -> None:
    for kind_of, line in no_secret_samples.lines():
        if kind_of == kind:
            assert redact(line) == (line, ())
            assert redact(f"    {line}\n") == (f"    {line}\n", ())


def test_spans_that_touch_are_one_and_what_they_uncover_goes_too() -> None:
    keys = [key for issuer, key in secret_samples.formed() if issuer in ("github", "twilio")]
    assert redact_keys(f'token = "{keys[0]}"') == ('token = "<KEY>"', 1)
    assert redact_keys(f"{keys[0]},{keys[-1]}") == ("<KEY>,<KEY>", 2)
    assert key_spans("nothing to see = 1") == []


def test_texts_that_are_not_ascii_keep_their_places() -> None:
    key = BY_ISSUER["github"][0]
    for other in ("İstanbul ", "日本語 ", "\ud800 ", "ß", "e\u0301"):
        assert redact_keys(f'{other}"{key}"{other}') == (f'{other}"<KEY>"{other}', 1)


UNITS = (
    *("a", "a-", "a_", "a.", "A1", "aA1-", "a1b2c3d4e5f6g7h8 ", "0", "0-", "\\n", "a1B2-"),
    *("eyJ", "-eyJ", "eyJaaaaaaaaaaa.", ".eyJ", "sk-", "sk-a-", "AKIA", "xoxb-", "xox", "1//0"),
    *("glpat-", "gh", "ghp_", "hf_", "AT", "://", "://a:", "://a:b", "://a:b@", "s3://a1b2:"),
    *("key", "key=", "api_key", "api_key=", "api_key='a1", "token ", "token:", "token1", "tokens("),
    *("pass", "password=", "password='", "password:a: ", "pwd:", "secret->", "secret  =  "),
    *("auth", "auth=(", "auth=('a','", "authorization: token ", "bearer ", "basic ", "basic a1B2"),
    *("bearer a1b2c3d4e5f6g7h8", "curl ", "curl -u a:", "curl -u", "?sig=a1", "identified by '"),
    *("-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----a", "-----BEGIN ", "-", "--"),
    *("hooks.slack.com/services/", "://hooks.slack.com/services/", "webhooks/123456789012345678/"),
    *("1234567890:AA", "a8Q~", "A" * 30 + ".", "v1.0-", "key : a b ", "key:a<", "key\\", "'", '"'),
)


@pytest.mark.slow
@pytest.mark.parametrize("unit", UNITS)
def test_hostile_text_is_quick(unit: str) -> None:
    text = "key1 @ :: PRIVATE KEY " + unit * (100_000 // len(unit))

    def seconds(part: str) -> float:
        start = time.process_time()
        redact_keys(part)
        return time.process_time() - start

    # The best of three: the limit is on the work, whatever else the machine does.
    assert min(seconds(text) for _ in range(3)) < 0.6


def test_the_table_is_in_order_and_bounded() -> None:
    assert [format_.issuer for format_ in FORMATS] == sorted(format_.issuer for format_ in FORMATS)
    for one in FORMATS:
        assert "*" not in one.head + one.tail and "+?" not in one.tail
        assert ",}" not in one.tail


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ("aB3xK9mQ2vL7pR4t", True),  # 15 neighbours, 14 strange.
        ("9f86d081884c7d65", True),
        ("550e8400-e29b-41d4-a716-446655440000", True),
        ("alpha-beta-gamma-delta1", False),
        ("OAuth2TokenService", False),
        ("abcdefghijklmnop", False),
        ("0123456789abcdef", False),
        ("1234567890123456", False),
        ("aB3xK9mQ2vL7pR4", False),  # 15 characters.
    ],
)
def test_randomness_by_hand(value: str, answer: bool) -> None:
    assert is_random(value) is answer


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ("hunter2", True),
        ("Tr0ub4dor&3", True),
        ("short1"[:5], False),
        ("correcthorse", False),
        ("sha256", False),
        ("field1", False),
        ("password1", False),
        ("two-words1", False),
        ("two-words1!", True),
        ("/etc/passwd1", False),
        ("{name1}", False),
    ],
)
def test_passwords_by_hand(value: str, answer: bool) -> None:
    assert is_password(value) is answer
