"""Plain values out of pickles, and every way a pickle may try to be more than that."""

from __future__ import annotations

import os
import pickle
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.formats.plain_pickle import HostilePickle, load_plain

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.tuples(inner, inner)
        | st.tuples(inner, inner, inner, inner)
        | st.dictionaries(st.text(max_size=3), inner, max_size=5)
        | st.sets(st.text(max_size=3), max_size=5)
        | st.frozensets(st.text(max_size=3), max_size=5)
    ),
    max_leaves=20,
)


@given(PLAIN, st.integers(4, 5))
def test_plain_values_come_out_as_they_went_in(value: object, protocol: int) -> None:
    """The oracle is the real unpickler; sets need opcodes of protocol 4."""
    assert load_plain(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", range(6))
def test_every_protocol_is_read(protocol: int) -> None:
    shared = ("LICENSE", "Permission is hereby granted \u00e9\n")
    value = {"a/b": shared, "c/d": [shared, ["x", True, None, 2**70, -1, 1.5]]}
    assert load_plain(pickle.dumps(value, protocol)) == value


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch owned",)


class Built:
    def __init__(self) -> None:
        self.state = 1


HOSTILE = {
    "GLOBAL": b"cos\nsystem\n.",
    "GLOBAL and REDUCE": b"cos\nsystem\n(S'touch owned'\ntR.",
    "STACK_GLOBAL": b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
    "REDUCE": b"\x80\x02K\x01)R.",
    "INST": b"(S'touch owned'\nios\nsystem\n.",
    "OBJ": b"(cos\nsystem\nS'touch owned'\no.",
    "NEWOBJ": b"\x80\x02K\x01)\x81.",
    "NEWOBJ_EX": b"\x80\x04K\x01)}\x92.",
    "BUILD": b"\x80\x02K\x01}b.",
    "PERSID": b"Pname\n.",
    "BINPERSID": b"\x80\x02K\x01Q.",
    "EXT1": b"\x80\x02\x82\x01.",
    "EXT2": b"\x80\x02\x83\x01\x00.",
    "EXT4": b"\x80\x02\x84\x01\x00\x00\x00.",
    "NEXT_BUFFER": b"\x80\x05\x97.",
    "BYTEARRAY8": b"\x80\x05\x96\x01\x00\x00\x00\x00\x00\x00\x00x.",
    "BINBYTES": b"\x80\x03B\x01\x00\x00\x00x.",
    "class": pickle.dumps(Evil(), 2),
    "object": pickle.dumps(Built()),
    "function": pickle.dumps(os.system),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_would_import_call_or_build_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(HostilePickle, match=r"opcode \w+ at byte \d+ is more than plain"):
        load_plain(HOSTILE[name])
    assert not (tmp_path / "owned").exists()


def test_the_hostile_pickles_are_hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the test above could not fail."""
    monkeypatch.chdir(tmp_path)
    pickle.loads(HOSTILE["GLOBAL and REDUCE"])
    assert (tmp_path / "owned").exists()


BROKEN = {
    "nothing": (b"", "malformed"),
    "cut": (pickle.dumps({"a": "b" * 99})[:-9], "malformed"),
    "no such opcode": (b"\xff.", "malformed"),
    "huge count": (b"\x80\x04\x8d" + b"\xff" * 8 + b".", "malformed"),
    "long text": (b"X\xff\xff\xff\xffabc.", "malformed"),
    "long number": (b"\x80\x02\x8b\xff\xff\xff\x7f\x01.", "malformed"),
    "digits": (b"I" + b"9" * 5000 + b"\n.", "malformed"),
    "empty stack": (b"\x80\x02.", "does not end with one value"),
    "two values": (b"\x80\x02NN.", "does not end with one value"),
    "open mark": (b"\x80\x02(N.", "does not end with one value"),
    "no mark": (b"\x80\x02t.", "nothing to work on"),
    "too few": (b"\x80\x02N\x86.", "nothing to work on"),
    "no memo": (b"\x80\x02h\x07.", "nothing to work on"),
    "append to text": (b"\x80\x02X\x01\x00\x00\x00aNa.", "items appended to str"),
    "entry in list": (b"\x80\x02]X\x01\x00\x00\x00aNs.", "entries set in list"),
    "item in dict": (b"\x80\x04}(X\x01\x00\x00\x00a\x90.", "items added to dict"),
    "odd entries": (b"\x80\x02}(Nu.", "key without a value"),
    "number as key": (pickle.dumps({1: 2}), "is int, not text"),
    "tuple in set": (pickle.dumps({(1, 2)}), "is tuple, not text"),
    "list as key": (b"\x80\x02}]Ns.", "is list, not text"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_pickles_are_refused_with_a_reason(name: str) -> None:
    data, message = BROKEN[name]
    with pytest.raises(HostilePickle, match=message):
        load_plain(data)


def laughs(levels: int) -> bytes:
    """Lists side by side, each of which holds the one before it twice."""
    out = b"]q\x00"
    for level in range(levels):
        out += b"]q" + bytes([level + 1]) + b"(" + (b"h" + bytes([level])) * 2 + b"e"
    return b"\x80\x02(" + out + b"l."


@pytest.mark.slow
def test_bombs_cost_no_time() -> None:
    bombs = {
        "billion laughs": (laughs(30), "unfolds to more than"),
        "own child": (b"\x80\x02]q\x00h\x00a.", "nested deeper"),
        "deep": (b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b".", "nested deeper"),
        "deep tuples": (b"\x80\x02)" + b"\x85" * 100_000 + b".", "nested deeper"),
        "marks": (b"\x80\x02" + b"(" * 100_000 + b".", "one value"),
        "opcodes": (b"\x80\x02" + b"N0" * 150_000 + b"N.", "more than 250000 opcodes"),
        "memo": (b"\x80\x02N" + b"\x94" * 100_000 + b"0.", "one value"),
        "doubled": (b"\x80\x02]q\x00(" + b"h\x00" * 100_000 + b"e.", "unfolds|nested"),
    }
    for name, (data, message) in bombs.items():
        start = time.process_time()
        with pytest.raises(HostilePickle, match=message):
            load_plain(data, max_ops=250_000)
        assert time.process_time() - start < 10, name


@given(st.binary(max_size=200))
def test_noise_gives_a_value_or_a_reason(data: bytes) -> None:
    for prefix in (b"", b"\x80\x04", pickle.dumps({"a": ["b"]})[:-2]):
        try:
            load_plain(prefix + data)
        except HostilePickle as error:
            assert str(error)
