"""Tries the patterns of the product on hard texts, in a process that may be killed.

Writes one line of JSON before each pattern, `{"trying": NAME}`, and one after it,
`{"tried": NAME, "slow": CASE}`, whose case is "" where all were quick.
"""

from __future__ import annotations

import json
import re
import resource
import signal
import sys
import time
from collections import deque
from collections.abc import Callable
from types import FrameType
from typing import Any

from tests.xtrove.pattern_attacks import attacks
from tests.xtrove.product_patterns import SIZE, product_patterns

LIMIT = 0.5
"""Seconds of processor time for `SIZE` characters; linear ones take 1 to 50 ms."""
LEAST_LIMIT = 0.02
"""For short texts."""
_SCREEN = 4_000
_SUSPECT = 0.0004
"""Seconds for `_SCREEN` characters above which `SIZE` is tried too: what is quadratic and takes
`LIMIT` there takes 0.8 ms here."""
_MOST_SECONDS = 200


class SlowError(BaseException):
    """The processor time of one case is used up."""


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise SlowError


def limited(work: Callable[[], object], limit: float) -> float:
    """Processor seconds that `work` took; at least `limit` where it was interrupted."""
    signal.signal(signal.SIGVTALRM, _interrupt)
    begin = time.process_time()
    signal.setitimer(signal.ITIMER_VIRTUAL, limit)
    try:
        work()
    except SlowError:
        return max(limit, time.process_time() - begin)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return time.process_time() - begin


def _passes(methods: frozenset[str]) -> list[str]:
    """The methods to try: what replaces or splits goes over the text as `finditer` does."""
    single = {"match", "fullmatch", "search"}
    passes = {method if method in single else "finditer" for method in methods}
    return sorted(passes - {"search"} if "finditer" in passes else passes)


def _work(pattern: re.Pattern[Any], method: str, text: str) -> Callable[[], object]:
    given = text.encode("latin-1", "replace") if isinstance(pattern.pattern, bytes) else text
    if method == "finditer":
        return lambda: deque(pattern.finditer(given), maxlen=0)
    return lambda: getattr(pattern, method)(given)


def first_slow(
    pattern: re.Pattern[Any], methods: frozenset[str], size: int = SIZE, attempts: int = 2
) -> str:
    """The first case in which `pattern` takes too long for `size` characters; "" if none does."""
    limit = max(LEAST_LIMIT, LIMIT * size / SIZE)
    screen = min(size, _SCREEN)
    for attack in attacks(pattern):
        for method in _passes(methods):
            work = _work(pattern, method, attack.text(screen))
            if limited(work, limit) < _SUSPECT:
                continue
            work = _work(pattern, method, attack.text(size))
            if all(limited(work, limit) >= limit for _ in range(attempts)):
                return f"{method} of {size} characters: {attack}"
    return ""


def main() -> None:
    """Tries all patterns."""
    resource.setrlimit(resource.RLIMIT_CPU, (_MOST_SECONDS, _MOST_SECONDS))
    for product in product_patterns():
        name = f"{product.name} {product.pattern.pattern!r:.60}"
        sys.stdout.write(json.dumps({"trying": name}) + "\n")
        sys.stdout.flush()
        slow = first_slow(product.pattern, product.methods, product.size)
        sys.stdout.write(json.dumps({"tried": name, "slow": slow}) + "\n")


if __name__ == "__main__":
    main()
