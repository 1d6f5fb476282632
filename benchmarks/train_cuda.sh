#!/usr/bin/env bash
# Training on one H100/H200: 17M and 150M, random weights, beside the peers. Builds nothing; within
# ten minutes. DATASET is a folder of `xtrove build`; $XTROVE_PYLATE_PYTHON a python with PyLate.
set -euo pipefail
cd "$(dirname "$0")/.."
dataset="${1:?usage: benchmarks/train_cuda.sh DATASET [OUT.json]}"
timeout 590 python benchmarks/train.py "$dataset" --cuda --seconds 20 \
    --json "${2:-train_cuda.json}"
