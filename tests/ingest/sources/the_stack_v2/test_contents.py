"""Blobs: order, bounds and every way in which a store can fail, over real connections."""

from __future__ import annotations

import base64
import gzip
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import SourceError, TransientFault
from ingest.sources.the_stack_v2.blob_store import BlobOptions
from ingest.sources.the_stack_v2.contents import (
    AHEAD,
    DENIED_FIRST,
    BlobReader,
    BlobRequest,
    Content,
    Missing,
    Outcome,
    codec_of,
)
from tests.ingest.blob_server import Bucket, bucket, cut, drip, drop, endless, serve, status


@pytest.fixture(name="store")
def _store() -> Iterator[Bucket]:
    with bucket() as kept:
        yield kept


def fetched(options: BlobOptions, wishes: list[BlobRequest]) -> list[Outcome | None]:
    with BlobReader.open(options) as reader:
        return [outcome for _, outcome in reader.stream(wishes, lambda wish: wish)]


def one(store: Bucket, wanted: BlobRequest, **options: object) -> Outcome:
    outcome = fetched(store.options(**options), [wanted])[0]
    assert outcome is not None
    return outcome


def absent(number: int) -> BlobRequest:
    return BlobRequest(blob_id=f"{number:040x}", length=10, encoding="utf-8")


def test_a_blob_is_verified_and_named(store: Bucket) -> None:
    raw = b"def f():\n    return 1\n"
    outcome = one(store, store.put(raw))
    # `printf 'def f():\n    return 1\n' | git hash-object --stdin`
    assert outcome == Content(data=raw, git_id="b8595995dba30b1cf7ee90f336b3e3356ee99e1b")
    assert store.queries == [""]


def test_outcomes_come_in_row_order_and_rows_without_blobs_between(store: Bucket) -> None:
    wishes = [store.put(b"x = %d\n" % number) for number in range(300)]
    items: list[BlobRequest | int] = [one if n % 3 else n for n, one in enumerate(wishes)]
    with BlobReader.open(store.options(in_flight=32)) as reader:
        seen = list(
            reader.stream(items, lambda item: item if isinstance(item, BlobRequest) else None)
        )
    assert [item for item, _ in seen] == items
    for number, (item, outcome) in enumerate(seen):
        assert (outcome is None) == isinstance(item, int)
        if isinstance(outcome, Content):
            assert outcome.data == b"x = %d\n" % number
    assert len(store.asked) == 200


def test_as_many_requests_as_allowed_run_at_once_and_no_more(store: Bucket) -> None:
    """The server answers forty at a time: fewer would wait for the others in vain."""
    together = threading.Barrier(40)

    def answer(handler: BaseHTTPRequestHandler, packed: bytes) -> None:
        together.wait(timeout=100)
        serve(handler, packed)

    store.always = answer
    wishes = [store.put(b"%d" % number) for number in range(120)]
    assert len(fetched(store.options(in_flight=40, timeout=120), wishes)) == 120
    assert store.most_busy == 40
    assert len(store.asked) == 120


def test_a_slow_consumer_holds_the_requests_back(store: Bucket) -> None:
    wishes = [store.put(b"%d" % number) for number in range(200)]
    with BlobReader.open(store.options(in_flight=4)) as reader:
        stream = reader.stream(wishes, lambda wish: wish)
        next(stream)
        time.sleep(0.3)
        assert len(store.asked) <= AHEAD * 4 + 1
        assert sum(1 for _ in stream) == 199


def test_stated_lengths_bound_what_is_held(store: Bucket) -> None:
    """64 MB may wait: of blobs that may have 1 MB each, 64, whatever the number of threads."""
    wishes = [replace(store.put(b"%d" % number), length=None) for number in range(300)]
    with BlobReader.open(store.options(in_flight=64)) as reader:
        stream = reader.stream(wishes, lambda wish: wish)
        next(stream)
        store.wait_for(64)
        time.sleep(0.3)
        assert len(store.asked) <= 66
        assert all(isinstance(outcome, Content) for _, outcome in stream)


@pytest.mark.parametrize(
    ("packed", "length", "detail"),
    [
        (gzip.compress(b"another"), 7, "SHA-1 is"),
        (gzip.compress(b"content"), 9, "7 bytes where the row says 9"),
        (gzip.compress(b"content" * 2), 7, "longer than the 7 bytes"),
        (gzip.compress(bytes(50_000_000)), 7, "longer than the 7 bytes"),
        (gzip.compress(bytes(50_000_000)), None, "longer than the 1000000 bytes"),
        (gzip.compress(b"content")[:-9], 7, "no end"),
        (gzip.compress(b"content")[:-8] + b"\0" * 8, 7, "not gzip: Error -3"),
        (b"content", 7, "not gzip"),
        (zlib.compress(b"content"), 7, "not gzip"),
        (b"", 7, "no end"),
        (gzip.compress(b"content") + b"\0" * 20_000, 7, "longer than the 7 bytes"),
    ],
    ids=range(11),
)
def test_what_is_not_this_blob_is_a_mismatch(
    store: Bucket, packed: bytes, length: int | None, detail: str
) -> None:
    required = replace(store.put(b"content", packed), length=length)
    outcome = one(store, required)
    assert isinstance(outcome, Missing)
    assert outcome.reason == "blob_mismatch"
    assert detail in outcome.detail
    assert len(store.asked) == 1


def test_a_body_without_end_is_cut_at_the_cap(store: Bucket) -> None:
    request = store.put(b"content")
    store.always = endless
    outcome = one(store, request)
    assert isinstance(outcome, Missing)
    assert outcome.reason == "blob_mismatch"


@pytest.mark.parametrize(
    ("encoding", "raw", "expected"),
    [
        ("ISO-8859-1", b"caf\xe9", "caf\u00e9"),
        ("LATIN_1", b"caf\xe9", "caf\u00e9"),
        ("windows-1251", b"\xcf\xf0\xe8", "\u041f\u0440\u0438"),
        ("GB18030", "\u4e2d".encode("gb18030"), "\u4e2d"),
        ("UTF-16", "\ufeffx = 1".encode("utf-16-le"), "x = 1"),
        ("utf-8", b"\xef\xbb\xbfx", "\ufeffx"),
        ("ascii", b"caf\xe9", None),
        ("utf-8", b"caf\xe9", None),
        ("UTF-16", b"\x00\xd8x", None),
        ("shift_jis", b"\x81", None),
    ],
)
def test_text_is_decoded_strictly_and_kept_as_utf8(
    store: Bucket, encoding: str, raw: bytes, expected: str | None
) -> None:
    codec = codec_of(encoding)
    assert codec
    outcome = one(store, replace(store.put(raw), encoding=codec))
    if expected is None:
        assert isinstance(outcome, Missing)
        assert outcome.reason == "blob_undecodable"
    else:
        assert isinstance(outcome, Content)
        assert outcome.data.decode("utf-8") == expected


def test_text_that_grows_over_the_limit_is_too_large(store: Bucket) -> None:
    required = replace(store.put(b"\xe9" * 600_000), encoding="iso8859-1")
    outcome = one(store, required)
    assert isinstance(outcome, Missing)
    assert outcome.reason == "too_large"


@pytest.mark.parametrize(
    "name",
    ["", "binary", "unknown-8bit", "hex", "zlib", "rot13", "punycode", "idna", "unicode_escape"]
    + ["raw-unicode-escape", "undefined", "a\0b", "x" * 41, "..os", "\u00e9", "aliases"],
)
def test_names_that_are_no_encoding_of_files(name: str) -> None:
    assert codec_of(name) == ""


@given(st.text(max_size=50))
def test_no_name_of_an_encoding_breaks_the_reader(name: str) -> None:
    codec = codec_of(name)
    assert codec == "" or isinstance(b"".decode(codec), str)


@pytest.mark.parametrize(
    "fault",
    [
        status(503, "SlowDown"),
        status(500),
        status(429, Retry_After="1"),
        status(408),
        status(400, "RequestTimeout"),
        drop,
        cut,
    ],
)
def test_what_may_pass_is_tried_again(store: Bucket, fault: object) -> None:
    request = store.put(b"content" * 100)
    assert callable(fault)
    store.script[request.blob_id] = [fault, fault]
    assert isinstance(one(store, request), Content)
    assert store.asked == [request.blob_id] * 3


def test_what_does_not_pass_is_a_transient_fault(store: Bucket) -> None:
    request = store.put(b"content")
    store.always = status(503, "SlowDown")
    with pytest.raises(TransientFault, match=rf"blob {request.blob_id}: HTTP 503 SlowDown"):
        one(store, request, retries=1)
    assert len(store.asked) == 2


def test_a_server_that_is_gone_is_a_transient_fault(store: Bucket) -> None:
    request = store.put(b"content")
    options = store.options(retries=1).model_copy(update={"url": "http://127.0.0.1:1/content"})
    with pytest.raises(TransientFault, match="blob .*NewConnectionError"):
        fetched(options, [request])


def test_silence_and_dripping_end_at_a_deadline(store: Bucket) -> None:
    request = store.put(bytes(range(256)) * 20)
    over = threading.Event()
    store.always = lambda *_: over.wait(100) and None
    try:
        with pytest.raises(TransientFault, match="ReadTimeoutError"):
            one(store, request, retries=0, timeout=0.3)
    finally:
        over.set()
    store.always = drip
    with pytest.raises(TransientFault, match="did not come in time"):
        one(store, request, retries=0, timeout=1)


def test_leaving_early_stops_what_was_to_come(store: Bucket) -> None:
    """The first blob would be tried again for a minute."""
    wishes = [store.put(b"%d" % number) for number in range(100)]
    store.script[wishes[0].blob_id] = [status(503)] * 9

    def leave() -> None:
        # Then the stream waits for the first, and asks for no more.
        store.wait_for(AHEAD * 8)
        reader.__exit__()

    with BlobReader.open(store.options(in_flight=8, retries=9)) as reader:
        items = iter(wishes)
        stream = reader.stream(items, lambda wish: wish)
        leaver = threading.Thread(target=leave)
        leaver.start()
        with pytest.raises(TransientFault, match=wishes[0].blob_id):
            list(stream)
        leaver.join()
    assert store.script[wishes[0].blob_id], "it was tried to the end"
    assert len(set(store.asked)) <= AHEAD * 8 + 1
    assert not [one for one in threading.enumerate() if one.name.startswith("blob")]


@pytest.mark.parametrize("lacks", [404, 403])
def test_what_is_not_there_is_missing(store: Bucket, lacks: int) -> None:
    """The 403 is answered before and after a blob that is there."""
    store.lacks = lacks
    wishes = [absent(1), store.put(b"content"), absent(2)]
    outcomes = fetched(store.options(), wishes)
    assert isinstance(outcomes[1], Content)
    for number in (0, 2):
        lost = outcomes[number]
        assert isinstance(lost, Missing)
        assert lost.reason == "blob_missing"
        assert str(lacks) in lost.detail


def test_few_denials_and_nothing_else_are_denied(store: Bucket) -> None:
    store.lacks = 403
    wishes = [absent(number) for number in range(DENIED_FIRST - 1)]
    outcomes = fetched(store.options(), wishes)
    assert {outcome.reason for outcome in outcomes if isinstance(outcome, Missing)} == {
        "blob_denied"
    }
    assert len(outcomes) == DENIED_FIRST - 1


def test_denials_of_all_the_first_blobs_stop_the_build(store: Bucket) -> None:
    store.lacks = 403
    wishes = [absent(number) for number in range(DENIED_FIRST)] + [store.put(b"content")]
    with pytest.raises(SourceError, match="denies all of the first 16 blobs.*AccessDenied") as info:
        fetched(store.options(), wishes)
    assert "AWS_ACCESS_KEY_ID" in info.value.remedy


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (status(401), "refuses the credentials"),
        (status(403, "InvalidAccessKeyId"), "refuses the credentials.*InvalidAccessKeyId"),
        (status(403, "SignatureDoesNotMatch"), "refuses the credentials"),
        (status(400, "ExpiredToken"), "refuses the credentials"),
        (status(404, "NoSuchBucket"), "cannot be used as configured.*NoSuchBucket"),
        (
            status(301, "PermanentRedirect", x_amz_bucket_region="eu-west-1"),
            "bucket lies in region eu-west-1",
        ),
        (status(302, Location="http://127.0.0.1:1/"), "HTTP 302"),
        (status(400), "HTTP 400"),
    ],
)
def test_faults_of_the_config_stop_at_once(store: Bucket, answer: object, message: str) -> None:
    assert callable(answer)
    store.always = answer
    with pytest.raises(SourceError, match=message):
        fetched(store.options(), [store.put(b"content")])
    assert len(store.asked) == 1


def test_requests_are_signed_unless_anonymous(
    store: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "KEY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SECRET")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    request = store.put(b"content")
    assert isinstance(fetched(store.s3_options(), [request])[0], Content)
    assert isinstance(fetched(store.s3_options(anonymous=True), [request])[0], Content)
    signed, anonymous = store.queries
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in signed
    assert "X-Amz-Credential=KEY" in signed
    assert anonymous == ""


@pytest.mark.slow
def test_no_signature_and_no_secret_in_a_message(
    store: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "KEYID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SECRET")
    request = store.put(b"content")
    for answer in (drop, cut, status(503), status(403, "AccessDenied"), status(400)):
        store.always = answer
        try:
            output = str(fetched(store.s3_options(retries=0), [request] * DENIED_FIRST))
        except (SourceError, TransientFault) as error:
            output = str(error)
        assert output
        assert "KEYID" not in output
        assert "Signature=" not in output


def test_without_credentials_the_remedy_is_named(
    store: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    with pytest.raises(SourceError, match=r"no AWS credentials.*anonymous: true"):
        BlobReader.open(store.s3_options())


def test_a_proxy_of_the_environment_is_used(store: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    request = store.put(b"content")
    options = store.options(url="http://archive.invalid/content", retries=0)
    monkeypatch.setenv("http_proxy", f"http://me:p%40ss@127.0.0.1:{store.port}")
    monkeypatch.setenv("no_proxy", "")
    assert isinstance(fetched(options, [request])[0], Content)
    assert store.proxy_keys == ["Basic " + base64.b64encode(b"me:p@ss").decode()]
    monkeypatch.setenv("no_proxy", "archive.invalid")
    with pytest.raises(TransientFault):
        fetched(options, [request])
    assert len(store.asked) == 1


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"url": "softwareheritage/content"}, "is no address"),
        ({"url": "s3://A/b"}, "is no address"),
        ({"url": "s3://bucket/../x?y"}, "is no address"),
        ({"url": "ftp://host/x"}, "is no address"),
        ({"url": "https://host/x", "endpoint": "https://other"}, "endpoint is for s3"),
        ({"endpoint": "localhost:9000"}, "is no endpoint"),
        ({"in_flight": 0}, "greater than or equal to 1"),
        ({"cache": "s3://x"}, "no local folder"),
        ({"cache_bytes": "1kB"}, "greater than or equal"),
        ({"region": "us east"}, "pattern"),
    ],
)
def test_wrong_options_are_refused(config: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BlobOptions.model_validate(config)


def test_options_as_people_write_them() -> None:
    options = BlobOptions.model_validate({"url": "s3://softwareheritage/content/"})
    assert (options.url, options.in_flight) == ("s3://softwareheritage/content", 64)
    assert BlobOptions.model_validate({"cache_bytes": "20GB"}).cache_bytes == 20_000_000_000
