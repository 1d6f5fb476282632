"""`python -m tests.hub --root DIR [--port 0] [--log FILE] [--faults FILE] [--page 1000]
[--part-bytes N] [--xet DIR]`.

Writes one line of JSON, `{"endpoint": ..., "cdn": ...}`, to standard output when it serves.
`PUT /_/faults` replaces the plan of faults; closing its standard input ends it.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from pathlib import Path

from tests.hub.faults import Log, Plan
from tests.hub.server import Hub, start


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(prog="tests.hub")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--faults", type=Path)
    parser.add_argument("--page", type=int, default=1000)
    parser.add_argument("--part-bytes", type=int, default=0)
    parser.add_argument("--xet", default="")
    words = parser.parse_args()
    Hub.part_bytes, Hub.xet = words.part_bytes, words.xet
    plan = Plan.parse(words.faults.read_text("utf-8")) if words.faults else Plan([])
    hub, cdn = start(words.root.resolve(), plan, Log(words.log), words.port, words.page)
    for server in (hub, cdn):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    ports = {
        "endpoint": f"http://127.0.0.1:{hub.server_address[1]}",
        "cdn": f"http://localhost:{cdn.server_address[1]}",
    }
    sys.stdout.write(json.dumps(ports) + "\n")
    sys.stdout.flush()
    sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
