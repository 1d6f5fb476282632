"""Runs the xtrove command line on the head of a cluster; the one script `ray submit` uploads.

    ray submit cluster/cluster.yaml cluster/submit.py -- build CONFIG --output /mnt/shared/dataset

Everything after `--` goes to `xtrove` as it stands. The script imports nothing of the checkout:
xtrove must be installed on the nodes, which the setup commands of the cluster file do. Paths are
paths on the head. Without RAY_ADDRESS the driver joins the Ray that runs on this machine and
never starts one of its own. The exit code is that of xtrove.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Sequence

INSTALL = "pip install -e CHECKOUT -c CHECKOUT/constraints.txt"


def main(arguments: Sequence[str]) -> None:
    """Become `xtrove WORDS`; exits with 1 where xtrove is not installed, with 2 without words."""
    if not arguments:
        sys.stderr.write(f"{__doc__}\n")
        sys.exit(2)
    try:
        importlib.metadata.distribution("xtrove")
    except importlib.metadata.PackageNotFoundError:
        sys.stderr.write(
            f"error: xtrove is not installed for {sys.executable}, the `python` of this machine\n"
            f"  run on every node: {INSTALL}, and let PATH in ~/.bashrc begin with its bin folder\n"
        )
        sys.exit(1)
    os.environ["RAY_ADDRESS"] = os.environ.get("RAY_ADDRESS") or "auto"
    # -P: this script runs in a home folder, and a folder called `evaluate` there is not ours.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "xtrove", *arguments])


if __name__ == "__main__":
    main(sys.argv[1:])
