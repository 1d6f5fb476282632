"""Requests to S3: whose keys, which endpoint, what an answer means, when to ask again.

Method: botocore finds keys, region and endpoint where the AWS tools find them, calls (listings,
heads) and signs addresses; its own retries are off, so that each try is seen, counted and
bounded (`xtrove.core.retry`). Objects come through urllib3 without its retries and redirects, by
the proxy of the environment; a body is given up at a deadline, for a timeout between two pieces
never ends one that drips. Cost: 0.1 s to make a client, once a process.
Limits: a region other than the bucket's is an error that names the right one.
Sources: S3 API reference (error responses), botocore's configuration.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from botocore import UNSIGNED  # type: ignore[import-untyped]
from botocore.exceptions import (  # type: ignore[import-untyped]
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
)

from ingest.errors import SourceError, TransientFault
from ingest.transport.rate_limit import ReadLimits
from ingest.transport.traffic import meter
from xtrove.core import (
    GaveUp,
    PassingFault,
    RetryPolicy,
    XtroveError,
    may_pass,
    retry_call,
    stated_wait,
)

BAD_KEYS = frozenset(
    {
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
    }
)
_AGAIN_CODES = frozenset({"RequestTimeout", "SlowDown", "ServiceUnavailable", "InternalError"})
_REGION = re.compile(r"[a-z0-9-]{2,32}")
_SIGNED_SECONDS = 3600
_OPEN = "AWS_NO_SIGN_REQUEST"
_KEYS_REMEDY = (
    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or AWS_PROFILE) on every machine that "
    f"reads, or {_OPEN}=YES if the bucket is open to all."
)
_ACCESS_REMEDY = (
    "These keys need s3:ListBucket on the bucket and s3:GetObject on its objects (S3 says the "
    f"same where nothing is there and listing is not allowed); {_OPEN}=YES reads without keys."
)
_CHUNK = 1 << 16
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """A client and its connections."""

    client: Any
    pool: urllib3.PoolManager
    host: str
    who: str


class Denied(SourceError):
    """HTTP 403: refused, or not there for one who may not list."""


def called(uri: str, limits: ReadLimits, name: str, **parameters: Any) -> Mapping[str, Any]:
    """The answer of a call of the API.

    Raises `SourceError` (`Denied` for a 403), `FileNotFoundError`, `TransientFault`.
    """
    service = service_of(limits.timeout_s)

    def call() -> Mapping[str, Any]:
        meter().add(service.host, 1, 0)
        try:
            answer: Mapping[str, Any] = getattr(service.client, name)(**parameters)
            return answer
        except ClientError as error:
            facts = error.response.get("ResponseMetadata", {})
            status, headers = facts.get("HTTPStatusCode", 0), facts.get("HTTPHeaders", {})
            code = str(error.response.get("Error", {}).get("Code", ""))
            raise fault(
                status, code, parameters["Bucket"], parameters.get("Key", ""), headers
            ) from error
        except (HTTPClientError, CredentialRetrievalError) as error:
            raise PassingFault(_brief(error)) from error
        except BotoCoreError as error:
            raise SourceError(
                "S3 cannot be asked", value=_brief(error), remedy=_KEYS_REMEDY
            ) from error

    return tried(uri, limits, call)


def signed(service: Service, bucket: str, key: str) -> str:
    """The address of an object. Raises `PassingFault`, `SourceError`."""
    try:
        return str(
            service.client.generate_presigned_url(
                "get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=_SIGNED_SECONDS
            )
        )
    except CredentialRetrievalError as error:
        raise PassingFault(_brief(error)) from error
    except BotoCoreError as error:
        raise SourceError(
            "requests to S3 cannot be signed", value=_brief(error), remedy=_KEYS_REMEDY
        ) from error


def fault(status: int, code: str, bucket: str, key: str, headers: Mapping[str, str]) -> Exception:
    """What an answer that is none means."""
    where, summary = f"s3://{bucket}/{key}", f"HTTP {status} {code}".strip()
    if may_pass(status) or code in _AGAIN_CODES:
        return PassingFault(summary, stated_wait(headers))
    if status == 401 or code in BAD_KEYS:
        return SourceError(
            "S3 refuses the credentials", value=f"{where}: {summary}", remedy=_KEYS_REMEDY
        )
    if code == "NoSuchBucket":
        return SourceError(
            "there is no such bucket",
            value=f"s3://{bucket}",
            remedy="Check its name, and AWS_ENDPOINT_URL if it is not at AWS.",
        )
    if status == 403:
        return Denied("S3 refuses access", value=f"{where}: {summary}", remedy=_ACCESS_REMEDY)
    if status == 404:
        return FileNotFoundError(where)
    region = headers.get("x-amz-bucket-region", "")
    hint = f"The bucket lies in {region}: " if _REGION.fullmatch(region) else ""
    return SourceError(
        "S3 does not answer this request",
        value=f"{where}: {summary}",
        remedy=f"{hint}check AWS_DEFAULT_REGION and AWS_ENDPOINT_URL.",
    )


def tried(uri: str, limits: ReadLimits, call: Callable[[], T], got: bytearray | None = None) -> T:
    """Call, and again after faults that may pass; bytes that were got count as progress."""
    policy = RetryPolicy(deadline_s=limits.patience_s)
    try:
        return retry_call(call, policy, progress=lambda: len(got or b""))
    except GaveUp as error:
        raise TransientFault(uri, str(error)) from error


@lru_cache(maxsize=4)
def service_of(timeout_s: float) -> Service:
    """The client of this process. Raises `SourceError` when there are no keys."""
    # 0.1 s, for builds that read from S3 alone.
    import botocore.session  # type: ignore[import-untyped]
    from botocore.config import Config  # type: ignore[import-untyped]

    session = botocore.session.Session()
    is_open = os.environ.get(_OPEN, "").upper() in ("1", "YES", "TRUE", "ON")
    region = session.get_config_variable("region") or os.environ.get("AWS_REGION") or "us-east-1"
    try:
        keys = None if is_open else session.get_credentials()
        if keys is None and not is_open:
            raise SourceError("no AWS credentials were found", value="s3://", remedy=_KEYS_REMEDY)

        def client(style: str) -> Any:
            config = Config(
                # The default for one region is still the signature of 2006.
                signature_version=UNSIGNED if is_open else "s3v4",
                s3={"addressing_style": style},
                connect_timeout=timeout_s,
                read_timeout=timeout_s,
                retries={"total_max_attempts": 1},
            )
            return session.create_client("s3", region_name=region, config=config)

        made = client("auto")
        if not str(urlsplit(made.meta.endpoint_url).hostname).endswith("amazonaws.com"):
            # Other stores seldom have a name in the DNS for each bucket.
            made = client("path")
    except (BotoCoreError, ValueError) as error:
        raise SourceError(
            "S3 cannot be set up", value=_brief(error), remedy=_KEYS_REMEDY
        ) from error
    who = "none are used: the bucket is open" if keys is None else f"found by {keys.method}"
    host = urlsplit(made.meta.endpoint_url).netloc.rpartition("@")[2]
    pool = connections(made.meta.endpoint_url, 8, timeout_s)
    return Service(client=made, pool=pool, host=host, who=f"{who}; {host}, region {region}")


def _brief(error: Exception) -> str:
    return str(error).split("\n", 1)[0][:160]


class SlowBody(XtroveError):
    """A body did not come in time."""


def connections(target: str, at_once: int, timeout_s: float) -> urllib3.PoolManager:
    """A pool for the host of a URL; `timeout_s` to connect, and between two pieces."""
    timeout = urllib3.Timeout(connect=timeout_s, read=timeout_s)
    parsed = urlsplit(target)
    proxy = getproxies().get(parsed.scheme)
    if not proxy or proxy_bypass(parsed.hostname or ""):
        return urllib3.PoolManager(maxsize=at_once, timeout=timeout)
    parts = urlsplit(proxy)
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    headers = urllib3.make_headers(proxy_basic_auth=pair) if parts.username else None
    return urllib3.ProxyManager(proxy, proxy_headers=headers, maxsize=at_once, timeout=timeout)


def asked(
    pool: urllib3.PoolManager, address: str, headers: dict[str, str] | None = None
) -> urllib3.BaseHTTPResponse:
    """A GET whose body is still to be read, as it is on the wire. Raises urllib3's errors."""
    return pool.request(
        "GET",
        address,
        preload_content=False,
        decode_content=False,
        redirect=False,
        retries=False,
        headers={"Accept-Encoding": "identity", "User-Agent": "xtrove", **(headers or {})},
    )


def receive(answer: urllib3.BaseHTTPResponse, got: bytearray, enough: int, seconds: float) -> None:
    """Append the body to what was got, until there is `enough` or no more; the last piece may
    go beyond. Raises `SlowBody`."""
    deadline = time.monotonic() + seconds
    # `read` would wait for a full piece for as long as single bytes keep coming.
    while len(got) < enough and (chunk := answer.read1(_CHUNK)):
        got += chunk
        if time.monotonic() > deadline:
            raise SlowBody("the body did not come in time")
