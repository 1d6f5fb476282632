"""A child process with moto's S3 server, run as a script: filled with the real blobs of an
archive, or, without one, with a bucket of 1,100 names."""

from __future__ import annotations

import sys
import tarfile
import time

from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

BUCKET = "softwareheritage"


def fill(path: str) -> int:
    """Put every blob of the archive where the bucket has it."""
    backend = s3_backends["123456789012"]["aws"]
    backend.create_bucket(BUCKET, "us-east-1")
    count = 0
    with tarfile.open(path) as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.isfile() else None
            if stream is not None:
                backend.put_object(BUCKET, member.name, stream.read())
                count += 1
    return count


def fill_many() -> int:
    """More names than a page of a listing holds."""
    backend = s3_backends["123456789012"]["aws"]
    backend.create_bucket("many", "us-east-1")
    for number in range(1100):
        backend.put_object("many", f"all/of them/{number:04d}.txt", b"%d" % number)
    return 1100


def main() -> None:
    """Serve until the parent ends us; says the port and the number of blobs."""
    count = fill(sys.argv[1]) if len(sys.argv) > 1 else fill_many()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    sys.stdout.write(f"{server.get_host_and_port()[1]} {count}\n")
    sys.stdout.flush()
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main()
