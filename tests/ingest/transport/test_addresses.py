"""Where redirects may lead, who hears a token, and users that leave addresses."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote

import pytest
from huggingface_hub import constants
from pydantic import ValidationError

import ingest.storage.fsspec_store
import ingest.transport.http
from ingest.errors import SourceError
from ingest.sources.the_stack.source import TheStackOptions
from ingest.sources.the_stack_v2.blob_store import BlobOptions
from ingest.storage.fsspec_store import RedirectRefused
from ingest.storage.locate import open_entry, pin
from ingest.transport.addresses import bearer, kind_of, may_lead, names_user, without_user
from ingest.transport.http import Request, send
from ingest.transport.rate_limit import ReadLimits
from train.config import TrainConfig
from xtrove.config.build import checked, validate
from xtrove.core.errors import Misuse

FAST = ReadLimits(requests_per_second=1000, timeout_s=2, patience_s=3)
BODY = b"0123456789"
METADATA = "http://169.254.169.254/latest/meta-data"


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("140.82.121.4", "public"),
        ("2606:4700::1111", "public"),
        ("10.1.2.3", "private"),
        ("172.31.0.1", "private"),
        ("192.168.1.1", "private"),
        ("100.64.0.1", "private"),
        ("fd00:ec2::254", "private"),
        ("127.8.8.8", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:10.0.0.1", "private"),
        ("64:ff9b::a00:1", "private"),
        ("2002:7f00:1::", "loopback"),
        ("169.254.169.254", "other"),
        ("::ffff:169.254.169.254", "other"),
        ("64:ff9b::a9fe:a9fe", "other"),
        ("2002:a9fe:a9fe::", "other"),
        ("fe80::1%eth0", "other"),
        ("0.0.0.0", "other"),
        ("::", "other"),
        ("224.0.0.1", "other"),
        ("255.255.255.255", "other"),
    ],
)
def test_kinds_of_addresses(address: str, kind: str) -> None:
    assert kind_of(address) == kind


@pytest.mark.parametrize(
    ("home", "allowed"),
    [
        ("140.82.121.4", {"140.82.112.3"}),
        ("10.0.0.1", {"140.82.112.3", "192.168.1.1"}),
        ("127.0.0.1", {"140.82.112.3", "192.168.1.1", "127.0.0.2"}),
        ("169.254.1.1", {"140.82.112.3"}),
    ],
)
def test_redirects_by_what_the_configured_address_is(home: str, allowed: set[str]) -> None:
    targets = {"140.82.112.3", "192.168.1.1", "127.0.0.2", "169.254.169.254", "0.0.0.0", "fe80::1"}
    assert {target for target in targets if may_lead([home], [target])} == allowed
    assert may_lead([home], [home])
    assert not may_lead([home], ["140.82.112.3", "169.254.169.254"])


class _Leading(BaseHTTPRequestHandler):
    """`/to/URL` redirects there; anything else is the body."""

    heard: list[tuple[str, str]] = []

    def log_message(self, format: str, *args: object) -> None:
        """Tests are quiet."""

    def do_GET(self) -> None:
        self.heard.append((self.headers["Host"], self.headers.get("Authorization", "")))
        self.send_response(302 if self.path.startswith("/to/") else 200)
        if self.path.startswith("/to/"):
            self.send_header("Location", unquote(self.path.removeprefix("/to/")))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_header("Content-Length", str(len(BODY)))
        self.send_header("ETag", '"x"')
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(BODY)

    do_HEAD = do_GET


@pytest.fixture
def leading() -> Iterator[str]:
    _Leading.heard.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Leading)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def _by_hub(url: str) -> bytes:
    home = url.partition("/to/")[0]
    return send(Request(url=url, limits=FAST, home=home, headers={"Authorization": "t"})).body


def _by_fsspec(url: str) -> bytes:
    (entry,) = pin(url, FAST).files()
    with open_entry(entry, FAST) as file:
        return file.read()


CLIENTS = pytest.mark.parametrize("fetch", [_by_hub, _by_fsspec])
Fetch = Callable[[str], bytes]


@CLIENTS
def test_a_redirect_on_loopback_is_followed_without_the_token(leading: str, fetch: Fetch) -> None:
    other = leading.replace("127.0.0.1", "localhost")
    assert fetch(f"{leading}/to/{leading}/file") == BODY
    assert fetch(f"{leading}/to/{other}/file") == BODY
    tokens = dict(_Leading.heard)
    assert tokens[other.removeprefix("http://")] == ""


@CLIENTS
@pytest.mark.parametrize(
    "target", [METADATA, "http://[fe80::1]/x", "http://[::ffff:a9fe:a9fe]/x", "http://2852039166/x"]
)
def test_a_redirect_to_a_metadata_service_is_refused(
    leading: str, fetch: Fetch, target: str
) -> None:
    with pytest.raises(SourceError, match="not public|not a canonical IPv4 address"):
        fetch(f"{leading}/to/{quote(target, safe='')}")


@CLIENTS
def test_from_a_public_host_no_redirect_leads_into_the_network(
    leading: str, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name of this server is looked up as public; it redirects to a loopback address."""

    def looked_up(host: str) -> frozenset[str]:
        return frozenset({"140.82.121.4", "127.0.0.1"} if host == "localhost" else {"127.0.0.2"})

    monkeypatch.setattr(ingest.transport.http, "addresses_of", looked_up)
    monkeypatch.setattr(ingest.storage.fsspec_store, "addresses_of", looked_up)
    ingest.storage.fsspec_store._client.cache_clear()
    home = leading.replace("127.0.0.1", "localhost")
    assert fetch(f"{home}/file") == BODY
    with pytest.raises(SourceError, match="not public"):
        fetch(f"{home}/to/http://127.0.0.2:{leading.rpartition(':')[2]}/x")


def test_no_redirect_leads_out_of_https(leading: str) -> None:
    request = Request(url=leading, limits=FAST, home="https://hub.example")
    with pytest.raises(SourceError, match="out of https"):
        ingest.transport.http._next(request, "https://hub.example/a", "http://hub.example/b")


def test_a_token_over_plain_http_goes_to_this_machine_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_IMPLICIT_TOKEN", False)
    assert bearer("https://hub.example") == {"Authorization": "Bearer hf_secret"}
    with pytest.warns(UserWarning, match="plain HTTP to http://127.0.0.1:8123") as output:
        assert bearer("http://127.0.0.1:8123") == {"Authorization": "Bearer hf_secret"}
    assert "hf_secret" not in str(output[0].message)
    for endpoint in ("http://10.0.0.1", "http://169.254.169.254", "http://u:p@no.such.invalid"):
        with pytest.raises(SourceError, match="unencrypted") as error:
            bearer(endpoint)
        assert "u:p" not in str(error.value)
        assert "hf_secret" not in str(error.value)
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", "/nonexistent")
    assert bearer("http://10.0.0.1") == {}


@pytest.mark.parametrize(
    ("url", "refused"),
    [
        ("https://user:secret@host/x", True),
        ("https://secret@host/x", True),
        ("https://us:er@na:secret@host/x", True),
        ("sftp://user:secret@host/x", True),
        ("sftp://user@host/x", False),
        ("abfs://container@account.dfs.core.windows.net/x", False),
        ("https://host/x@y", False),
        ("https://host?x=@y", False),
        ("hf://datasets/o/n@main/x", False),
        ("/local/a@b", False),
    ],
)
def test_users_leave_addresses(url: str, refused: bool) -> None:
    assert names_user(url) is refused
    assert "secret" not in without_user(url)
    if refused:
        with pytest.raises(ValidationError, match="holds a password"):
            TheStackOptions(path=url)


@pytest.mark.parametrize("path", ["simplecache::https://host/x", "zip://a::http://host/b.zip"])
def test_chains_of_file_systems_are_refused(path: str) -> None:
    """The guard of redirects knows the address that is configured, not one inside of it."""
    with pytest.raises(ValidationError, match="chain of file systems"):
        TheStackOptions(path=path)


def test_no_fault_of_a_config_quotes_a_password() -> None:
    for source in (
        {"kind": "the-stack", "path": "https://u:secret@host/x"},
        {"kind": "directory", "path": "git+https://u:secret@host/o/n"},
        {"kind": "directory", "path": "ssh://u:secret@host/o/n"},
    ):
        with pytest.raises(Misuse) as error:
            validate({"name": "x", "sources": [source]}, name="c")
        assert "secret" not in str(error.value)
    data = {"name": "x", "data": {"path": "https://u:secret@host/d"}}
    with pytest.raises(Misuse, match="a user or a password") as refused:
        checked(TrainConfig, data, name="c", command="x")
    assert "secret" not in str(refused.value)
    for words in ({"url": "https://u:secret@host/x"}, {"endpoint": "http://u:secret@host"}):
        with pytest.raises(ValidationError, match="a user or a password|no endpoint"):
            BlobOptions.model_validate(words)


def test_a_signature_is_no_part_of_a_name(leading: str) -> None:
    (entry,) = pin(f"{leading}/a.parquet?X-Signature=secret", FAST).files()
    assert (entry.name, entry.uri) == ("a.parquet", f"{leading}/a.parquet?X-Signature=secret")


def test_refusals_are_no_passing_faults() -> None:
    assert not ingest.storage.fsspec_store._may_pass(RedirectRefused())
