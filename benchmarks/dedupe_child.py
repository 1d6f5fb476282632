"""MinHash of datatrove over texts, in datatrove's own environment; started by `dedupe.py`.

`python -P benchmarks/dedupe_child.py TEXTS ANSWER TOKENIZER FOLDER`: TEXTS is a JSON list of texts
in rank order; TOKENIZER is `default` (spaCy's, for English) or `regex` (runs of word characters
and single others: the control that shows what the tokenizer costs); FOLDER is empty and receives
the signatures. ANSWER gets the seconds of processor time of every step, with imports left out,
and the numbers of the texts that are kept. One process, as many buckets and hashes as datatrove
has by default (14 of 8), its own text normalisation.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.dedup import minhash

WORDS = re.compile(r"\w+|[^\w\s]")


class RegexTokenizer:
    """What `MinhashDedupSignature` asks of a tokenizer."""

    def word_tokenize(self, text: str) -> list[str]:
        """Words and single other characters."""
        return WORDS.findall(text)


def main() -> None:
    """The command."""
    texts_file, answer, tokenizer, folder = sys.argv[1:5]
    texts = json.loads(Path(texts_file).read_text(encoding="utf-8"))
    if tokenizer == "regex":
        minhash.load_word_tokenizer = lambda language: RegexTokenizer()
    config = minhash.MinhashConfig()

    def documents() -> Iterator[Document]:
        for number, text in enumerate(texts):
            yield Document(text=text, id=str(number))

    seconds = {}
    steps = {name: f"{folder}/{name}" for name in ("signatures", "buckets", "removals")}
    signature = minhash.MinhashDedupSignature(steps["signatures"], config=config)
    signature.get_shingles("def warm_up(first, second): return first + second")
    start = time.process_time()
    signature.run(documents(), 0, 1)
    seconds["signatures"] = time.process_time() - start
    start = time.process_time()
    for bucket in range(config.num_buckets):
        step = minhash.MinhashDedupBuckets(steps["signatures"], steps["buckets"], config=config)
        step.run(None, bucket, config.num_buckets)
    seconds["buckets"] = time.process_time() - start
    start = time.process_time()
    minhash.MinhashDedupCluster(steps["buckets"], steps["removals"], config=config).run(None, 0, 1)
    kept = [int(d.id) for d in minhash.MinhashDedupFilter(steps["removals"]).run(documents(), 0, 1)]
    seconds["cluster, filter"] = time.process_time() - start
    Path(answer).write_text(json.dumps({"seconds": seconds, "kept": kept}), encoding="utf-8")


if __name__ == "__main__":
    main()
