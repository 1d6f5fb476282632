"""Blobs a second, by requests in flight, from two servers on this machine.

`python benchmarks/blobs.py [--blobs N] [--delay MS] [--in-flight 1 16 64 256]` fetches files of
the installed standard library through `ingest.sources.the_stack_v2.contents`, as a worker would:
signed requests, gzip, SHA-1, decoding, in row order, no cache. The servers run in processes of
their own: moto's S3 is the reference, and slow (it answers a few hundred requests a second on a
core whatever the client does); the bare one answers at once, or after `--delay` as a bucket in the
same region would (30 ms), and so shows what the client itself can do. The published experience with
the real bucket is about 355 blobs a second for one machine of 16 cores in us-east-1 (python-edu:
7.7 million files in 6 hours); no figure here is one of that bucket.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import hashlib
import multiprocessing
import os
import resource
import sysconfig
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import rooms_first  # noqa: F401
from rich.console import Console
from rich.table import Table

from ingest.sources.the_stack_v2 import BlobOptions, BlobReader, BlobRequest, Content

BUCKET = "softwareheritage"
PUBLISHED = 355
Blobs = dict[str, bytes]


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One measurement."""

    server: str
    in_flight: int
    blobs: int
    seconds: float
    processor: float
    """Seconds of this process."""


def library_blobs(count: int) -> tuple[Blobs, list[BlobRequest]]:
    """Compressed files of the standard library and what a row would say of each."""
    blobs: Blobs = {}
    wishes: list[BlobRequest] = []
    files = sorted(Path(sysconfig.get_paths()["stdlib"]).rglob("*.py"))
    for number in range(count):
        raw = files[number % len(files)].read_bytes()[:100_000]
        # Beyond the number of files, each is changed by a line.
        raw = b"# %d\n" % number + raw
        blob_id = hashlib.sha1(raw).hexdigest()
        blobs[blob_id] = gzip.compress(raw, mtime=0)
        wishes.append(BlobRequest(blob_id=blob_id, length=len(raw), encoding="iso8859-1"))
    return blobs, wishes


def serve_moto(blobs: Blobs, _: float, ready: Connection) -> None:
    """moto's S3 server, until it is ended."""
    from moto.s3.models import s3_backends
    from moto.server import ThreadedMotoServer

    # It logs each request.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    backend = s3_backends["123456789012"]["aws"]
    backend.create_bucket(BUCKET, "us-east-1")
    for blob_id, packed in blobs.items():
        backend.put_object(BUCKET, f"content/{blob_id}", packed)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    ready.send(server.get_host_and_port()[1])
    while True:
        time.sleep(60)


def serve_bare(blobs: Blobs, delay: float, ready: Connection) -> None:
    """A server that does nothing but answer, until it is ended."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split(b" ", 2)[1].decode("ascii").partition("?")[0]
                packed = blobs[path.rpartition("/")[2]]
                if delay:
                    await asyncio.sleep(delay)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(packed))
                writer.write(packed)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def serve() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1024)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


@contextmanager
def serving(
    serve: Callable[[Blobs, float, Connection], None], blobs: Blobs, delay: float
) -> Iterator[int]:
    """The port of a server in a process of its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(blobs, delay, theirs), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.kill()
        process.join()


def measure(server: str, port: int, in_flight: int, wishes: Sequence[BlobRequest]) -> Run:
    """Fetch everything once."""
    options = BlobOptions(endpoint=f"http://127.0.0.1:{port}", in_flight=in_flight)
    start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
    with BlobReader.open(options) as reader:
        for _, outcome in reader.stream(wishes, lambda wish: wish):
            if not isinstance(outcome, Content):
                raise RuntimeError(f"{server} lost a blob: {outcome}")
    after = resource.getrusage(resource.RUSAGE_SELF)
    return Run(
        server=server,
        in_flight=in_flight,
        blobs=len(wishes),
        seconds=time.monotonic() - start,
        processor=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
    )


def show(runs: Sequence[Run], console: Console) -> None:
    """The table."""
    table = Table(title=f"published for the real bucket, 16 cores: {PUBLISHED} blobs/s")
    for heading in ("server", "in flight", "blobs", "seconds", "blobs/s", "client ms/blob"):
        table.add_column(heading, justify="left" if heading == "server" else "right")
    for run in runs:
        table.add_row(
            run.server,
            str(run.in_flight),
            str(run.blobs),
            f"{run.seconds:.2f}",
            f"{run.blobs / run.seconds:,.0f}",
            f"{1000 * run.processor / run.blobs:.2f}",
        )
    console.print(table)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    console.print(f"peak memory of the client, its {len(runs)} runs and all blobs: {peak:.0f} MiB")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--blobs", type=int, default=2000)
    parser.add_argument("--delay", type=float, default=30.0, help="of the bare server, in ms")
    parser.add_argument("--in-flight", type=int, nargs="+", default=[1, 16, 64, 256])
    arguments = parser.parse_args()
    os.environ.setdefault("AWS_ACCESS_KEY_ID", "benchmark")
    os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "benchmark")
    blobs, wishes = library_blobs(arguments.blobs)
    delay = arguments.delay
    runs: list[Run] = []
    for server, serve, wait in (
        ("moto", serve_moto, 0.0),
        ("bare", serve_bare, 0.0),
        (f"bare, {delay:g} ms", serve_bare, delay / 1000),
    ):
        with serving(serve, blobs, wait) as port:
            for in_flight in arguments.in_flight:
                # One at a time, the wait is all there is to see: a tenth shows it.
                some = wishes if in_flight > 1 else wishes[: max(1, len(wishes) // 10)]
                runs.append(measure(server, port, in_flight, some))
    show(runs, Console())


if __name__ == "__main__":
    main()
