"""`s3://` places: real boto3 and our reader against moto, and a front that fails, over loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from ingest.errors import ChangedInput, SourceError, TransientFault
from ingest.licenses.policy import LicensePolicy
from ingest.records import Listing, SourceFile, SourcePair
from ingest.sources.registry import SourceOptions, plan, read
from ingest.storage.locate import Place, PlacePath, open_entry, pin
from ingest.storage.s3 import parse
from ingest.transport.rate_limit import ReadLimits
from ingest.transport.s3_client import service_of
from ingest.transport.traffic import meter
from tests.ingest import csn_copies
from tests.ingest.s3_front import KEYS, Front, drop, running_front, running_moto, say, silence
from tests.ingest.stack_tables import row, write

FAST = ReadLimits(requests_per_second=0.5, timeout_s=1, patience_s=20)
"""A request in two seconds is the Hub's budget: S3 must not be held to it."""
TABLE = "stack/data/python/train-00000-of-00001.parquet"
LINES = 300


@pytest.fixture(scope="module", name="moto")
def _moto() -> Iterator[int]:
    with running_moto() as port:
        yield port


@pytest.fixture(scope="module", name="files")
def _files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same files in a folder."""
    root = tmp_path_factory.mktemp("files")
    write(root / TABLE, [row(n, content=f"x = {n}\n" * 400) for n in range(60)], group=7)
    pairs = root / "pairs"
    pairs.mkdir()
    texts = [{"query": f"question {n} of many", "code": "a = 1\n" * 50} for n in range(LINES)]
    (pairs / "a.jsonl").write_text("".join(json.dumps(text) + "\n" for text in texts), "utf-8")
    (pairs / "b c+d.csv").write_text("query,code\nq,c\n", "utf-8")
    book = csn_copies.licences(owner__name=csn_copies.MIT)
    csn_copies.write_zip(root / "csn/python.zip", csn_copies.rows(count=5), book=book)
    return root


@pytest.fixture(scope="module", name="bucket")
def _bucket(moto: int, files: Path) -> str:
    """A bucket with them."""
    client = Front(moto=moto).client()
    client.create_bucket(Bucket="code")
    for path in sorted(files.rglob("*.*")):
        client.put_object(
            Bucket="code", Key=path.relative_to(files).as_posix(), Body=path.read_bytes()
        )
    client.put_object(Bucket="code", Key="pairs/", Body=b"")
    return "code"


@pytest.fixture(name="front")
def _front(moto: int, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Front]:
    with running_front(moto) as front:
        for name, value in {**KEYS, "AWS_ENDPOINT_URL": front.url}.items():
            monkeypatch.setenv(name, value)
        for name in ("AWS_PROFILE", "AWS_NO_SIGN_REQUEST", "AWS_DEFAULT_REGION"):
            monkeypatch.delenv(name, raising=False)
        service_of.cache_clear()
        yield front
    service_of.cache_clear()


def options(**words: object) -> SourceOptions:
    adapter: TypeAdapter[SourceOptions] = TypeAdapter(SourceOptions)
    return adapter.validate_python(words)


def records(chosen: SourceOptions, listing: Listing) -> list[SourceFile | SourcePair]:
    policy = LicensePolicy()
    result: list[SourceFile | SourcePair] = []
    for slice_ in listing.slices:
        for record in read(chosen, "s", policy, slice_, "same", limits=FAST):
            assert isinstance(record, SourceFile | SourcePair), record
            result.append(record)
    return result


def sources(files: Path) -> list[tuple[dict[str, Any], str]]:
    mit = {"declared_licenses": ["MIT"]}
    return [
        ({"kind": "the-stack"}, "stack"),
        ({"kind": "the-stack"}, f"{TABLE.rpartition('/')[0]}"),
        ({"kind": "pairs", "language": "python", **mit}, "pairs"),
        ({"kind": "codesearchnet"}, "csn"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("number", range(4))
def test_a_bucket_gives_what_a_folder_gives(front: Front, files: Path, number: int) -> None:
    words, where = sources(files)[number]
    near, far = (
        options(path=str(files / where), **words),
        options(path=f"s3://code/{where}", **words),
    )
    policy = LicensePolicy()
    here = plan(near, "s", policy, 30_000)
    before = meter().snapshot()
    there = plan(far, "s", policy, 30_000, limits=FAST)
    assert records(far, there) == records(near, here)
    assert len(there.slices) == len(here.slices)
    assert all(digest.startswith("etag:") for key, digest in there.provenance if "file" in key)
    counted = meter().since(before)[front.url.removeprefix("http://")]
    assert counted.requests == len(front.asked)


@pytest.mark.slow
def test_names_of_more_than_a_page(front: Front) -> None:
    place: Place = pin("s3://many", FAST)
    assert (place.folders(), place.folders("all"), place.folders("none")) == (
        ("all",), ("of them",), ())  # fmt: skip
    assert place.files(recursive=False) == place.files("none") == ()
    entries = place.files("all/of them", recursive=False)
    assert [entry.name for entry in entries] == [f"all/of them/{n:04d}.txt" for n in range(1100)]
    assert sum("list-type=2" in path for _, path, _, _ in front.asked) >= 7
    with open_entry(entries[1099], FAST) as file:
        assert file.read() == b"1099"
    (single,) = pin("s3://many/all/of them/0007.txt", FAST).files()
    assert (single.name, single.size, single.uri) == (
        "0007.txt", 1, "s3://many/all/of them/0007.txt")  # fmt: skip


def test_a_range_costs_its_bytes_and_opening_nothing(front: Front) -> None:
    (entry,) = pin(f"s3://code/{TABLE}", FAST).files()
    front.asked.clear()
    with open_entry(entry, FAST) as file:
        file.seek(-4, 2)
        assert file.read(4) == b"PAR1"
    end = entry.size
    assert [(one[0], one[2], one[3]) for one in front.asked] == [
        ("GET", f"bytes={end - 4}-{end - 1}", 4)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "failure",
    [
        say(503, "SlowDown"),
        say(500, "InternalError"),
        say(429, "TooManyRequests", Retry_After="1"),
        say(408, "RequestTimeout"),
        say(400, "RequestTimeout"),
        drop,
        silence,
    ],
)
def test_what_passes_leaves_no_trace(front: Front, files: Path, failure: Any) -> None:
    near, far = (
        options(kind="the-stack", path=path) for path in (str(files / "stack"), "s3://code/stack")
    )
    front.failures = [None, failure, None, failure]
    there = plan(far, "s", LicensePolicy(), limits=FAST)
    assert not front.failures
    front.failures = [failure, None, failure]
    assert records(far, there) == records(near, plan(near, "s", LicensePolicy()))
    assert not front.failures


def test_what_lasts_is_a_passing_fault_without_a_signature(front: Front) -> None:
    (entry,) = pin(f"s3://code/{TABLE}", FAST).files()
    hasty = ReadLimits(timeout_s=1, patience_s=2)
    with open_entry(entry, hasty) as file:
        front.failures = [say(503, "SlowDown")] * 9
        with pytest.raises(TransientFault, match="HTTP 503 SlowDown") as result:
            file.read(10)
    assert "Signature" not in str(result.value)
    assert "5ecret" not in str(result.value)
    front.failures = [drop] * 9
    with pytest.raises(TransientFault, match="s3://code"):
        pin("s3://code/stack", hasty)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "failure", "said"),
    [
        ("s3://nothing-here/x", None, "no such bucket.*nothing-here.*AWS_ENDPOINT_URL"),
        ("s3://code/none", None, "nothing is there.*code/none"),
        ("s3://code/stack/", say(403, "AccessDenied"), "refuses access.*s3:ListBucket"),
        ("s3://code/stack/", say(403, "InvalidAccessKeyId"), "credentials.*AWS_ACCESS_KEY_ID"),
        ("s3://code/stack/", say(400, "ExpiredToken"), "credentials.*AWS_PROFILE"),
        (
            "s3://code/stack/",
            say(400, "AuthorizationHeaderMalformed", x_amz_bucket_region="eu-west-3"),
            "lies in eu-west-3.*AWS_DEFAULT_REGION",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_remedy(
    front: Front, path: str, failure: Any, said: str
) -> None:
    front.failures = [] if failure is None else [failure] * 3
    with pytest.raises(SourceError, match=said):
        pin(path, FAST).files()


def test_without_keys_the_variables_are_named(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in KEYS:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(SourceError, match="no AWS credentials.*AWS_NO_SIGN_REQUEST=YES"):
        pin("s3://code/stack", FAST)
    assert not front.asked


def test_an_open_bucket_needs_no_keys_and_a_closed_one_says_so(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = front.client()
    client.put_object(Bucket="code", Key="open/a.txt", Body=b"open", ACL="public-read")
    for name in KEYS:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_NO_SIGN_REQUEST", "YES")
    (entry,) = pin("s3://code/open/a.txt", FAST).files()
    with open_entry(entry, FAST) as file:
        assert file.read() == b"open"
    assert not [path for _, path, _, _ in front.asked if "Signature" in path]
    (closed,) = (one for one in pin("s3://code/", FAST).files() if one.name == TABLE)
    with pytest.raises(SourceError, match="refuses access"), open_entry(closed, FAST) as file:
        file.read()


def test_what_changes_or_goes_after_the_plan_is_noticed(front: Front) -> None:
    client = front.client()
    client.put_object(Bucket="code", Key="moving/a.txt", Body=b"first")
    (entry,) = pin("s3://code/moving/a.txt", FAST).files()
    client.put_object(Bucket="code", Key="moving/a.txt", Body=b"other")
    with pytest.raises(ChangedInput, match=r"a\.txt"), open_entry(entry, FAST) as file:
        file.read()
    client.delete_object(Bucket="code", Key="moving/a.txt")
    with pytest.raises(ChangedInput, match=r"a\.txt"), open_entry(entry, FAST) as file:
        file.read()


def test_addresses_are_checked_with_the_config() -> None:
    assert parse("s3://my-bucket") == ("my-bucket", "")
    assert parse("s3://my-bucket/a b/#c?/") == ("my-bucket", "a b/#c?")
    adapter: TypeAdapter[str] = TypeAdapter(PlacePath)
    for wrong in ("s3://", "s3://My_Bucket/x", "s3:///x", "s3://a"):
        with pytest.raises(ValidationError, match="no address in S3"):
            adapter.validate_python(wrong)
