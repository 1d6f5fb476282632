"""Redaction: what goes, what stays, and that it is quick and settles at once.

Secrets here are put together at run time, so that no scanner takes the file for a leak.
"""

from __future__ import annotations

import random
import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.redaction.randomness import is_random
from extract.redaction.redactor import redact, safe_detail

RANDOM = random.Random(20260101)
ALPHANUMERIC = string.ascii_letters + string.digits


def token(size: int, alphabet: str = ALPHANUMERIC) -> str:
    # A digit and a letter for certain.
    return "".join(RANDOM.choices(alphabet, k=size - 2)) + "7Q"


HEAD, TAIL = "-----BEGIN RSA PRIVATE " + "KEY-----", "-----END RSA PRIVATE " + "KEY-----"
SECRETS = [
    "AKIA" + token(16, string.ascii_uppercase + string.digits),
    "ghp_" + token(36),
    "github_pat_" + token(40),
    "glpat-" + token(20),
    "xoxb-" + token(30),
    "AIza" + token(35),
    "sk_live_" + token(24),
    "sk-ant-" + token(40),
    "npm_" + token(36),
    "eyJ" + token(20) + ".eyJ" + token(30) + "." + token(30),
    f"{HEAD}\nProc-Type: 4,ENCRYPTED\n\n{token(64)}\n{token(64)}\n{TAIL}",
]


@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: secret[:8])
def test_known_keys_go(secret: str) -> None:
    text = f'client = Client("{secret}")'
    assert redact(text) == ('client = Client("<KEY>")', (("key", 1),))
    assert redact(text, ("email", "ip")) == (text, ())


@pytest.mark.parametrize("before", ["", "=", "_", "session-", "-eyJ" * 9])
def test_web_tokens_go_whatever_stands_before_them(before: str) -> None:
    secret = "eyJ" + token(20) + ".eyJ" + token(30) + "." + token(30)
    redacted, counts = redact(before + secret)
    assert secret[40:] not in redacted
    assert counts == (("key", 1),)


def test_half_web_tokens_take_linear_time() -> None:
    """6.5 s before: each of 25,000 was read to the end of the text."""
    begin = time.process_time()
    assert redact("-eyJ" * 25_000) == ("-eyJ" * 25_000, ())
    assert time.process_time() - begin < 1


@pytest.mark.parametrize(
    "name", ["api_key = ", "API_KEY=", "'secret': ", '"authToken" => ', "password := ", "apiKey: "]
)
def test_assigned_secrets_go(name: str) -> None:
    secret = token(32)
    assert redact(f'{name}"{secret}"') == (f'{name}"<KEY>"', (("key", 1),))


@pytest.mark.parametrize(
    "text",
    [
        'api_key = "your-api-key-goes-here-1"',
        'token = "xxxxxxxxxxxxxxxx1234"',
        'token = "aaaaaaaaaaaaaaaaaaa1"',
        'secret = "configuration-secret-name"',
        'colour = "a8f5f167f44f4964e6c998dee827110c"',
        'if line.startswith("' + HEAD + '"):',
        "task-sk-learn risk-based", "max_live_objects", "the AKIA prefix",
    ],
)  # fmt: skip
def test_what_is_no_key_stays(text: str) -> None:
    assert redact(text) == (text, ())


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("Ask jane.doe+x@corp.co.uk now", "Ask <EMAIL> now"),
        ("<joe@mail.org>", "<<EMAIL>>"),
        ("a@b.com is one letter", "a@b.com is one letter"),
        ("user@example.com", "user@example.com"),
        ("git clone git@github.com:x/y", "git clone git@github.com:x/y"),
        ("icon@2x.png", "icon@2x.png"),
        ("y = x@self.weight", "y = x@self.weight"),
        ("@decorator.method", "@decorator.method"),
        ("weights@matrix.transpose()", "weights@matrix.transpose()"),
    ],
)
def test_emails(text: str, redacted: str) -> None:
    assert redact(text)[0] == redacted


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("connect to 52.14.3.9 now", "connect to <IP> now"),
        ("http://52.14.3.9:80/", "http://<IP>:80/"),
        ("52.14.3.9.", "<IP>."),
        ("from 2a00:1450:4001:81b::200e here", "from <IP> here"),
        ("version 52.14.3.9", "version 52.14.3.9"),
        ("Version=4.1.2.3", "Version=4.1.2.3"),
        ("v4.1.2.3", "v4.1.2.3"),
        ("Chrome/91.0.4.124", "Chrome/91.0.4.124"),
        ("1.3.6.1.4.1.311", "1.3.6.1.4.1.311"),
        ("52.14.3.999", "52.14.3.999"),
        ("0.0.0.0 127.0.0.1 10.1.2.3 192.168.0.1", "0.0.0.0 127.0.0.1 10.1.2.3 192.168.0.1"),
        ("192.0.2.7 198.51.100.7 203.0.113.7", "192.0.2.7 198.51.100.7 203.0.113.7"),
        ("8.8.8.8", "8.8.8.8"),
        ("2001:db8::1 ::1 a::b std::mem::swap", "2001:db8::1 ::1 a::b std::mem::swap"),
    ],
)
def test_addresses(text: str, redacted: str) -> None:
    assert redact(text)[0] == redacted


def test_password_in_a_url_goes_and_all_are_counted() -> None:
    text = f"db = 'mysql://root:{token(9)}@db.corp.net/x'  # 52.14.3.9, 52.14.3.8, jo@corp.net"
    assert redact(text) == (
        "db = 'mysql://<KEY>@db.corp.net/x'  # <IP>, <IP>, <EMAIL>",
        (("email", 1), ("ip", 2), ("key", 1)),
    )


def test_details_are_short_and_hold_no_secret() -> None:
    secret = SECRETS[1]
    detail = safe_detail("word\n" * 38 + secret)
    assert len(detail) <= 200 and secret[:6] not in detail


FRAGMENTS = st.sampled_from(
    [
        *SECRETS,
        "joe@corp.net",
        "52.14.3.9",
        "api_key = ",
        "'",
        '"',
        "://u:",
        "@",
        ".",
        ":",
        " ",
        "a",
    ]
)


@given(st.lists(FRAGMENTS | st.text(max_size=8), max_size=8).map("".join))
def test_settles_at_once(text: str) -> None:
    once, counts = redact(text)
    again, more = redact(once)
    assert (again, more) == (once, ())
    assert (once == text) == (counts == ())


@pytest.mark.parametrize(
    "unit",
    ["a", "@", "a@", "a.", "1.", "1.1.1.1.", "2000:", "::2000", "'", "key='aaaaaaaaaaaaaaaaaaaa1",
     "-----BEGIN PRIVATE KEY-----", "-", "eyJaaaaaaaaaaa.", "://a:b", "sk-", "AKIA", "xoxb-"],
)  # fmt: skip
def test_hostile_text_is_quick(unit: str) -> None:
    text = unit * (200_000 // len(unit))
    start = time.process_time()
    redact("key @ :: PRIVATE KEY " + text)
    assert time.process_time() - start < 1.0


def test_entropy_by_hand() -> None:
    assert is_random("0a1b2c3d4e5f6g7h")  # 16 different characters: 4 bits.
    assert not is_random("aaaaaaaabbbbbbb1")
    assert not is_random("abcdefghijklmnop") and not is_random("1029384756102938")
