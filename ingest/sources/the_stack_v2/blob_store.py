"""Ask for one blob: where it lies, how the request is signed, what the answer means.

Method: botocore does what only it knows (credentials of every kind and their renewal, the
address of a bucket, signatures) and yields a signed address; urllib3 fetches that address, and
any `https://` base, through one pool of connections. So one piece of code caps the size,
holds the deadlines and reads the faults of both. aiobotocore and s3fs pin botocore and fsspec
to versions that `datasets` does not take; boto3 and its own retries would hide the status and
cannot stop a body that drips. Threads are enough: a request costs 0.6 ms of processor.
An answer is a `Body`, or a `Refusal` with its reason, or a `Fault` that may pass; what no row
can be blamed for (keys, region, bucket) is a `SourceError`.
A proxy of the environment is used (`HTTPS_PROXY`, `NO_PROXY`).
Limits: a redirect is not followed; a body must be complete within `BODY_TIMEOUTS` timeouts.
Sources: S3 GetObject and its error codes; https://docs.softwareheritage.org (the bucket).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import urllib3
from botocore import UNSIGNED  # type: ignore[import-untyped]
from botocore.exceptions import (  # type: ignore[import-untyped]
    BotoCoreError,
    CredentialRetrievalError,
)
from pydantic import BaseModel, ByteSize, ConfigDict, Field, field_validator, model_validator
from urllib3.exceptions import HTTPError

from ingest.errors import SourceError
from ingest.transport import (
    BAD_KEYS,
    SlowBody,
    asked,
    connections,
    meter,
    names_user,
    receive,
    without_user,
)
from xtrove.core import may_pass, stated_wait

BODY_TIMEOUTS = 4
SOFTWARE_HERITAGE = "s3://softwareheritage/content"
_ERROR_BYTES = 4096
_SIGNED_SECONDS = 3600
_S3 = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[A-Za-z0-9._=-]+)*)/?")
_CODE = re.compile(rb"<Code>([A-Za-z0-9]{1,64})</Code>")
KEYS_REMEDY = (
    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or AWS_PROFILE) for every worker, or "
    "`anonymous: true` if the bucket is open to all. Bulk access to Software Heritage needs "
    "an agreement: datasets@softwareheritage.org."
)


class BlobOptions(BaseModel):
    """Where contents are fetched from, and how hard: the `blobs` section of a source."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = SOFTWARE_HERITAGE
    """`s3://BUCKET/PREFIX` or an `https://` base; the blob id follows after a `/`."""
    endpoint: str | None = None
    """Another S3 service (MinIO, Ceph); null is AWS."""
    region: Annotated[str, Field(pattern=r"^[a-z0-9-]{2,32}$")] = "us-east-1"
    anonymous: bool = False
    in_flight: Annotated[int, Field(ge=1, le=1024)] = 64
    """Requests at the same time, in each worker."""
    timeout: Annotated[float, Field(gt=0, le=600)] = 30.0
    """Seconds to connect, and between two pieces of a body."""
    retries: Annotated[int, Field(ge=0, le=20)] = 6
    cache: str | None = None
    """A folder on each worker for what was fetched; null keeps nothing."""
    cache_bytes: Annotated[ByteSize, Field(ge=1_000_000)] = ByteSize(20_000_000_000)

    @field_validator("url")
    @classmethod
    def _address(cls, value: str) -> str:
        parts = urlsplit(value)
        plain = parts.scheme in ("http", "https") and parts.netloc and not parts.query
        plain = plain and not names_user(value)
        if _S3.fullmatch(value) or plain:
            return value.rstrip("/")
        shown = without_user(value)
        if names_user(value):
            raise ValueError(
                f"{shown!r} was given with a user or a password, which work files would keep: take "
                "it out; s3:// takes keys from where the AWS tools find them"
            )
        raise ValueError(f"{shown!r} is no address: write s3://BUCKET/PREFIX or https://HOST/PATH")

    @field_validator("endpoint")
    @classmethod
    def _endpoint(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if urlsplit(value).scheme not in ("http", "https") or names_user(value):
            raise ValueError(f"{without_user(value)!r} is no endpoint: write https://HOST[:PORT]")
        return value

    @field_validator("cache")
    @classmethod
    def _folder(cls, value: str | None) -> str | None:
        if value is not None and (not value.strip() or "\0" in value or "://" in value):
            raise ValueError(f"{value!r} is no local folder: the cache lies on each worker")
        return value

    @model_validator(mode="after")
    def _fit(self) -> BlobOptions:
        if self.endpoint is not None and not self.url.startswith("s3://"):
            raise ValueError(f"endpoint is for s3:// only, url is {self.url!r}: leave it out")
        return self

    def resolved(self, base: Path) -> BlobOptions:
        """The same options with an absolute cache folder; `~` is home."""
        if self.cache is None:
            return self
        folder = (base.absolute() / Path(self.cache).expanduser()).resolve()
        return self.model_copy(update={"cache": str(folder)})


@dataclass(frozen=True, kw_only=True, slots=True)
class Body:
    """The bytes of an answer, still compressed; cut at the cap when there were more."""

    data: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """There is no such blob (`denied` false), or it must not be read."""

    denied: bool
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """An answer that may be different next time."""

    detail: str
    wait_s: float | None = None
    """How long the server asks to wait."""


Answer = Body | Refusal | Fault


class BlobStore:
    """Asks for blobs; safe for threads. Close it."""

    def __init__(
        self, options: BlobOptions, pool: urllib3.PoolManager, address: Callable[[str], str]
    ) -> None:
        self._options = options
        self._pool = pool
        self._address = address
        self._host = urlsplit(options.endpoint or options.url).netloc.rpartition("@")[2]

    @classmethod
    def open(cls, options: BlobOptions) -> BlobStore:
        """Find the credentials; nothing is asked yet. Raises `SourceError` when there are none."""
        address = _s3(options) if options.url.startswith("s3://") else _plain(options.url)
        target = options.endpoint or options.url.replace("s3://", "https://", 1)
        return cls(options, connections(target, options.in_flight, options.timeout), address)

    def close(self) -> None:
        """Drop the connections."""
        self._pool.clear()

    def get(self, blob_id: str, cap: int) -> Answer:
        """One request for at most `cap` bytes. Raises `SourceError` for a fault of the config."""
        try:
            address = self._address(blob_id)
        except CredentialRetrievalError as error:
            return Fault(detail=_brief(error))
        except BotoCoreError as error:
            raise SourceError(
                "requests cannot be signed", value=_brief(error), remedy=KEYS_REMEDY
            ) from error
        try:
            meter().add(self._host, 1, 0)
            with asked(self._pool, address) as answer:
                if answer.status == 200:
                    return self._body(answer, cap)
                return self._judged(answer)
        except (HTTPError, OSError) as error:
            # The message of urllib3 holds the signed address.
            return Fault(detail=type(error).__name__)

    def _body(self, answer: urllib3.BaseHTTPResponse, cap: int) -> Body | Fault:
        data = bytearray()
        try:
            receive(answer, data, cap + 1, BODY_TIMEOUTS * self._options.timeout)
        except SlowBody:
            return Fault(detail="the body did not come in time")
        meter().add(self._host, 0, len(data))
        if len(data) > cap:
            answer.close()
        return Body(data=bytes(data))

    def _judged(self, answer: urllib3.BaseHTTPResponse) -> Refusal | Fault:
        match = _CODE.search(answer.read1(_ERROR_BYTES))
        code = match[1].decode("ascii") if match else ""
        detail = f"HTTP {answer.status} {code}".strip()
        if may_pass(answer.status) or code == "RequestTimeout":
            return Fault(detail=detail, wait_s=stated_wait(answer.headers))
        if answer.status == 401 or code in BAD_KEYS:
            raise SourceError(
                "the blob store refuses the credentials",
                value=f"{self._options.url}: {detail}",
                remedy=KEYS_REMEDY,
            )
        if answer.status == 403:
            return Refusal(denied=True, detail=detail)
        if answer.status in (404, 410) and code != "NoSuchBucket":
            return Refusal(denied=False, detail=detail)
        region = answer.headers.get("x-amz-bucket-region", "")
        known = re.fullmatch(r"[a-z0-9-]{2,32}", region)
        hint = f"The bucket lies in region {region}. " if known else ""
        raise SourceError(
            "the blob store cannot be used as configured",
            value=f"{self._options.url}: {detail}",
            remedy=f"{hint}Check `url`, `region` and `endpoint` under `blobs`.",
        )


def _s3(options: BlobOptions) -> Callable[[str], str]:
    match = _S3.fullmatch(options.url)
    bucket, prefix = (match[1], match[2].lstrip("/")) if match else ("", "")
    # 0.1 s, for builds that read from S3 alone.
    import botocore.session  # type: ignore[import-untyped]
    from botocore.config import Config  # type: ignore[import-untyped]

    session = botocore.session.Session()
    config = Config(
        # The default for one region is still the signature of 2006.
        signature_version=UNSIGNED if options.anonymous else "s3v4",
        s3={"addressing_style": "path" if options.endpoint else "auto"},
    )
    try:
        if not options.anonymous and session.get_credentials() is None:
            raise SourceError(
                "no AWS credentials were found", value=options.url, remedy=KEYS_REMEDY
            )
        client = session.create_client(
            "s3", region_name=options.region, endpoint_url=options.endpoint, config=config
        )
    except (BotoCoreError, ValueError) as error:
        raise SourceError(
            "the blob store cannot be set up", value=_brief(error), remedy=KEYS_REMEDY
        ) from error

    def address(blob_id: str) -> str:
        key = f"{prefix}/{blob_id}" if prefix else blob_id
        return str(
            client.generate_presigned_url(
                "get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=_SIGNED_SECONDS
            )
        )

    return address


def _plain(url: str) -> Callable[[str], str]:
    return lambda blob_id: f"{url}/{blob_id}"


def _brief(error: Exception) -> str:
    return str(error).split("\n", 1)[0][:160]
