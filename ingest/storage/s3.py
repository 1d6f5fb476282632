"""Files in S3, or in a store that speaks its protocol (MinIO, Ceph): `s3://BUCKET[/KEY]`.

Method: botocore finds keys, region and endpoint where the AWS tools find them, lists, and signs
addresses; `ingest.transport.s3_client` fetches those. s3fs would do all of it, but no version
of it goes beside our botocore and fsspec; pyarrow's S3 file system knows no ETag. The ETag of a
listing is the digest of a file, and every range is asked for with `If-Match`, so that what changes
is noticed at the first byte of it and opening a file costs no request.
Environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_PROFILE, instance
roles; AWS_DEFAULT_REGION or AWS_REGION; AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL; and
AWS_NO_SIGN_REQUEST=YES (as GDAL has it) for buckets that are open to all.
Cost: a request a 1,000 names and one a range; none of them counts for the Hub's budget.
Limits: no versions, no requester pays; a region other than the bucket's is an error that names
the right one.
Sources: S3 API reference (ListObjectsV2, GetObject, HeadObject, error responses).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError

from ingest.errors import ChangedInput, SourceError
from ingest.files import publishable
from ingest.storage.entry import Entry
from ingest.storage.ranged_file import RangedFile
from ingest.transport import (
    Denied,
    ReadLimits,
    SlowBody,
    asked,
    called,
    fault,
    meter,
    receive,
    service_of,
    signed,
    tried,
)
from xtrove.core import PassingFault

MAX_PAGES = 10_000
SLOWEST_BYTES_A_SECOND = 50_000
_URI = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<key>.*))?", re.DOTALL)
_CODE = re.compile(rb"<Code>([A-Za-z0-9]{1,64})</Code>")


@dataclass(frozen=True, kw_only=True, slots=True)
class S3Place:
    """A bucket, or a folder or object in it; see `ingest.storage.locate.Place`."""

    uri: str
    limits: ReadLimits
    revision: str = ""
    single: Entry | None = None

    def files(self, folder: str = "", *, recursive: bool = True) -> tuple[Entry, ...]:
        """The files in a folder, sorted by name."""
        if self.single is not None:
            return () if folder else (self.single,)
        bucket, root = parse(self.uri)
        entries: list[Entry] = []
        for page in _pages(bucket, _inside(root, folder), self.limits, recursive=recursive):
            entries.extend(
                filter(None, (_entry(bucket, root, record) for record in page["Contents"]))
            )
        return tuple(sorted(entries, key=lambda record: record.name))

    def folders(self, folder: str = "") -> tuple[str, ...]:
        """The folders in a folder, sorted by name."""
        if self.single is not None:
            return ()
        bucket, root = parse(self.uri)
        pages = _pages(bucket, _inside(root, folder), self.limits, recursive=False)
        paths = [
            str(record["Prefix"]).rstrip("/") for page in pages for record in page["CommonPrefixes"]
        ]
        return tuple(sorted(path.rpartition("/")[2] for path in paths))


def parse(uri: str) -> tuple[str, str]:
    """Bucket and key ("" for all of it). Raises `ValueError`, which pydantic reports."""
    match = _URI.fullmatch(uri)
    if match is None:
        raise ValueError(f"{uri!r} is no address in S3: write s3://BUCKET or s3://BUCKET/PATH")
    return match["bucket"], (match["key"] or "").strip("/")


def identity(limits: ReadLimits) -> str:
    """Whose keys are used, in words. Raises `SourceError` when there are none."""
    return service_of(limits.timeout_s).who


def pin(uri: str, limits: ReadLimits) -> S3Place:
    """A place of a URI; see `ingest.storage.locate.pin`."""
    bucket, key = parse(uri)
    if key and not uri.endswith("/"):
        single = _object(uri, bucket, key, limits)
        if single is not None:
            return S3Place(uri=uri, limits=limits, single=single)
    if not any(page["Contents"] for page in _pages(bucket, _inside(key, ""), limits, most=1)):
        raise SourceError("nothing is there", value=uri, remedy="Check the bucket and the path.")
    return S3Place(uri=uri, limits=limits)


def open_file(uri: str, name: str, size: int, digest: str, limits: ReadLimits) -> RangedFile:
    """A file of a listing; asks for nothing yet."""
    bucket, key = parse(uri)
    etag = digest.removeprefix("etag:")

    def fetch(start: int, stop: int) -> bytes:
        got = bytearray()
        tried(uri, limits, lambda: _get(bucket, key, (start, stop), etag, got, limits, name), got)
        return bytes(got[: stop - start])

    return RangedFile(name, size, fetch)


def _get(
    bucket: str,
    key: str,
    span: tuple[int, int],
    etag: str,
    got: bytearray,
    limits: ReadLimits,
    name: str,
) -> None:
    """One request for what is missing of a range."""
    service = service_of(limits.timeout_s)
    start, want = span[0] + len(got), span[1] - span[0]
    headers = {"Range": f"bytes={start}-{span[1] - 1}", "If-Match": f'"{etag}"'}
    before = len(got)
    meter().add(service.host, 1, 0)
    try:
        with asked(service.pool, signed(service, bucket, key), headers) as answer:
            if answer.status != 206 and (answer.status, start) != (200, 0):
                raise _refused(answer, bucket, key, name)
            if answer.status == 206 and not _begins(answer, start):
                raise PassingFault("another range than was asked for")
            receive(answer, got, want, 2 * limits.timeout_s + want / SLOWEST_BYTES_A_SECOND)
    except SlowBody as error:
        raise PassingFault("the answer is too slow") from error
    except (HTTPError, OSError) as error:
        # The message of urllib3 holds the signed address.
        raise PassingFault(type(error).__name__) from error
    finally:
        meter().add(service.host, 0, len(got) - before)
    if len(got) < want:
        raise PassingFault(f"{len(got)} bytes of {want}")


def _begins(answer: urllib3.BaseHTTPResponse, start: int) -> bool:
    stated = answer.headers.get("Content-Range", "")
    return stated.removeprefix("bytes ").partition("-")[0] == str(start)


def _refused(answer: urllib3.BaseHTTPResponse, bucket: str, key: str, name: str) -> Exception:
    match = _CODE.search(answer.read1(4096))
    code = match[1].decode("ascii") if match else ""
    if answer.status in (404, 410, 412, 416) and code != "NoSuchBucket":
        return ChangedInput(name)
    return fault(answer.status, code, bucket, key, answer.headers)


def _object(uri: str, bucket: str, key: str, limits: ReadLimits) -> Entry | None:
    """The object of this very key; None if there is none, or none that may be asked for."""
    try:
        facts = called(uri, limits, "head_object", Bucket=bucket, Key=key)
    except FileNotFoundError:
        return None
    except Denied:
        # Without the right to list, S3 says this of what is not there; listing will tell.
        return None
    name = key.rpartition("/")[2]
    facts = {"Key": key, "Size": facts.get("ContentLength"), "ETag": facts.get("ETag")}
    entry = _entry(bucket, key.removesuffix(name), facts)
    return None if entry is None else replace(entry, uri=uri)


def _pages(
    bucket: str, prefix: str, limits: ReadLimits, *, recursive: bool = True, most: int = 1000
) -> Iterator[Mapping[str, Any]]:
    """Pages of a listing; only the first of one that is to hold less than a page."""
    parameters: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix, "MaxKeys": most}
    if not recursive:
        parameters["Delimiter"] = "/"
    for _ in range(MAX_PAGES):
        page = called(f"s3://{bucket}/{prefix}", limits, "list_objects_v2", **parameters)
        yield {"Contents": (), "CommonPrefixes": (), **page}
        following = page.get("NextContinuationToken")
        if not following or most < 1000:
            return
        parameters["ContinuationToken"] = following
    raise SourceError("a listing without end", value=bucket, remedy="Name a folder in the path.")


def _inside(root: str, folder: str) -> str:
    """The prefix of what is in a folder."""
    path = "/".join(part for part in (root, folder.strip("/")) if part)
    return f"{path}/" if path else ""


def _entry(bucket: str, root: str, facts: Mapping[str, Any]) -> Entry | None:
    """An object as an entry; None for one that stands for a folder or cannot be named."""
    key, size, etag = str(facts["Key"]), facts.get("Size"), str(facts.get("ETag") or "").strip('"')
    name = key.removeprefix(_inside(root.rstrip("/"), ""))
    steps = name.split("/")
    if not publishable(name) or any(step in ("", ".", "..") for step in steps):
        return None
    if not isinstance(size, int) or not etag:
        return None
    return Entry(name=name, size=size, digest=f"etag:{etag[:128]}", uri=f"s3://{bucket}/{key}")
