"""Plain values out of a pickle that nobody trusts, without unpickling it.

Method: `pickletools.genops` only disassembles; the few opcodes that build texts, numbers, true,
false, none, lists, tuples, dicts and sets are carried out here on a stack of our own. Every
other opcode (those that import, call, build objects or refer outside) ends the reading, so that
nothing of the file can run. The value is then walked once, for its depth and its size unfolded.
Cost: about 1.5 microseconds an opcode. Limits: `MAX_BYTES` a file, `MAX_OPS` opcodes (each
makes at most one object, so under 300 MB besides the texts), `MAX_DEPTH` levels, `MAX_NODES`
values counted as often as they are reached (shared lists unfold exponentially), texts as keys
and in sets (numbers can be chosen to collide). Byte strings are refused.
Source: the opcodes in `pickletools` (protocols 0 to 5).
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from ingest.fault_text import fault_of
from xtrove.core import XtroveError

MAX_BYTES = 256 * 1024 * 1024
MAX_OPS = 2_000_000
MAX_DEPTH = 32
MAX_NODES = 4_000_000


class HostilePickle(XtroveError, ValueError):
    """A pickle that is broken, too large, or more than plain values; the message is the reason."""


def load_plain(data: bytes, *, max_ops: int = MAX_OPS, max_nodes: int = MAX_NODES) -> object:
    """The plain value of a pickle. Raises `HostilePickle`, and nothing else, for what it holds."""
    if len(data) > MAX_BYTES:
        raise HostilePickle(f"{len(data)} bytes, at most {MAX_BYTES} are read")
    machine = _Machine()
    for count, (name, argument, position) in enumerate(_opcodes(data), start=1):
        if count > max_ops:
            raise HostilePickle(f"more than {max_ops} opcodes")
        if name == "STOP":
            break
        step = _STEPS.get(name)
        if step is None:
            raise HostilePickle(f"opcode {name} at byte {position} is more than plain values need")
        try:
            step(machine, argument)
        except (IndexError, KeyError) as error:
            message = f"opcode {name} at byte {position} finds nothing to work on"
            raise HostilePickle(message) from error
    value = machine.result()
    _check_size(value, max_nodes)
    return value


def _opcodes(data: bytes) -> Iterator[tuple[str, object, int]]:
    operations = pickletools.genops(data)
    while True:
        try:
            opcode, argument, position = next(operations)
        except StopIteration:
            return
        except Exception as error:
            # Its readers raise whatever their decoders do; each means a malformed argument.
            raise HostilePickle(f"malformed: {fault_of(error)}") from error
        yield opcode.name, argument, position or 0


class _Machine:
    """The stack, the marks in it, and the memo."""

    def __init__(self) -> None:
        self._stack: list[object] = []
        self._below: list[list[object]] = []
        self._memo: dict[object, object] = {}

    def result(self) -> object:
        if self._below or len(self._stack) != 1:
            raise HostilePickle("does not end with one value")
        return self._stack[0]

    def push(self, value: object) -> None:
        self._stack.append(value)

    def mark(self, _: object) -> None:
        self._below.append(self._stack)
        self._stack = []

    def marked(self) -> list[object]:
        """What stands above the last mark, taken off with it."""
        items = self._stack
        self._stack = self._below.pop()
        return items

    def last(self, count: int) -> list[object]:
        if len(self._stack) < count:
            raise IndexError(count)
        items = self._stack[len(self._stack) - count :]
        del self._stack[len(self._stack) - count :]
        return items

    def pop(self, _: object) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self.marked()

    def drop(self, _: object) -> None:
        self.marked()

    def duplicate(self, _: object) -> None:
        self.push(self._stack[-1])

    def put(self, index: object) -> None:
        self._memo[index] = self._stack[-1]

    def memoise(self, _: object) -> None:
        self.put(len(self._memo))

    def get(self, index: object) -> None:
        self.push(self._memo[index])

    def extend(self, items: list[object]) -> None:
        target = self._stack[-1]
        if not isinstance(target, list):
            raise HostilePickle(f"items appended to {type(target).__name__}")
        target.extend(items)

    def fill(self, items: list[object]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict):
            raise HostilePickle(f"entries set in {type(target).__name__}")
        target.update(_entries(items))

    def add(self, items: list[object]) -> None:
        target = self._stack[-1]
        if not isinstance(target, set):
            raise HostilePickle(f"items added to {type(target).__name__}")
        target.update(_texts(items))


def _entries(items: list[object]) -> dict[str, object]:
    if len(items) % 2:
        raise HostilePickle("a key without a value")
    return dict(zip(_texts(items[::2]), items[1::2], strict=True))


def _texts(items: list[object]) -> list[str]:
    texts = [item for item in items if isinstance(item, str)]
    if len(texts) != len(items):
        wrong = next(item for item in items if not isinstance(item, str))
        raise HostilePickle(f"a key or item of a set is {type(wrong).__name__}, not text")
    return texts


def _constant(value: object) -> Callable[[_Machine, object], None]:
    return lambda machine, _: machine.push(value)


def _argument(machine: _Machine, value: object) -> None:
    machine.push(value)


def _nothing(machine: _Machine, _: object) -> None:
    """`PROTO` and `FRAME` build nothing."""


_Step = Callable[[_Machine, object], None]
_NUMBERS = ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT")
_TEXTS = ("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8")
_STEPS: Mapping[str, _Step] = MappingProxyType(
    {
        "PROTO": _nothing,
        "FRAME": _nothing,
        **dict.fromkeys((*_NUMBERS, *_TEXTS), _argument),
        "NONE": _constant(None),
        "NEWTRUE": _constant(True),
        "NEWFALSE": _constant(False),
        "EMPTY_TUPLE": _constant(()),
        "EMPTY_LIST": lambda machine, _: machine.push([]),
        "EMPTY_DICT": lambda machine, _: machine.push({}),
        "EMPTY_SET": lambda machine, _: machine.push(set()),
        "MARK": _Machine.mark,
        "LIST": lambda machine, _: machine.push(machine.marked()),
        "TUPLE": lambda machine, _: machine.push(tuple(machine.marked())),
        "DICT": lambda machine, _: machine.push(_entries(machine.marked())),
        "FROZENSET": lambda machine, _: machine.push(frozenset(_texts(machine.marked()))),
        "TUPLE1": lambda machine, _: machine.push(tuple(machine.last(1))),
        "TUPLE2": lambda machine, _: machine.push(tuple(machine.last(2))),
        "TUPLE3": lambda machine, _: machine.push(tuple(machine.last(3))),
        "APPEND": lambda machine, _: machine.extend(machine.last(1)),
        "APPENDS": lambda machine, _: machine.extend(machine.marked()),
        "SETITEM": lambda machine, _: machine.fill(machine.last(2)),
        "SETITEMS": lambda machine, _: machine.fill(machine.marked()),
        "ADDITEMS": lambda machine, _: machine.add(machine.marked()),
        "POP": _Machine.pop,
        "POP_MARK": _Machine.drop,
        "DUP": _Machine.duplicate,
        "PUT": _Machine.put,
        "BINPUT": _Machine.put,
        "LONG_BINPUT": _Machine.put,
        "MEMOIZE": _Machine.memoise,
        "GET": _Machine.get,
        "BINGET": _Machine.get,
        "LONG_BINGET": _Machine.get,
    }
)


def _check_size(value: object, limit: int) -> None:
    """Walk it level by level, shared values as often as they are reached."""
    level: list[object] = [value]
    seen = 0
    for _ in range(MAX_DEPTH):
        seen += len(level)
        below: list[object] = []
        for item in level:
            if isinstance(item, dict | list | tuple | set | frozenset):
                if seen + len(below) + 2 * len(item) > limit:
                    raise HostilePickle(f"unfolds to more than {limit} values")
                below.extend(item)
                below.extend(item.values() if isinstance(item, dict) else ())
        if not below:
            return
        level = below
    raise HostilePickle(f"nested deeper than {MAX_DEPTH} levels")
