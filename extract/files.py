"""Checks that refuse a whole file before it is parsed.

Method: path rules, then operations on bytes that run in C (find, count, translate); nothing
loops over characters or lines in Python. The thresholds are the field's (BigCode: a line over
1,000 bytes, a mean line over 100, under a quarter alphanumeric); the path rules follow Linguist.
Cost: 310-490 MB/s a core over the contents of real files in eight languages; a path costs 3 us
once and a cache look-up after.
Limits: a marker of generated code is looked for in the first five lines and 400 bytes only
(Go's is prescribed and looked for in 4 KB); a language that is not in `_SPEC_LANGUAGES` may hold
`spec/` folders of its own. Bytes above 0x7f count as alphanumeric, so that text in other
scripts is not taken for noise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from extract.options import FilterOptions
from extract.words import name_words, word_set

REASONS: Mapping[str, str] = MappingProxyType(
    {
        "too_large": "the file is larger than filters.max_file_bytes",
        "vendored": "the path holds a folder of other people's code (vendor, node_modules, ...)",
        "generated": "a generator wrote the file, by its name or the marker at its top",
        "test_file": "the path is that of a test, by the conventions of its language",
        "null_byte": "the file holds a NUL byte: it is not text",
        "minified": "a line is longer than filters.max_line bytes or the mean than max_mean_line",
        "not_utf8": "the text is not valid UTF-8",
        "not_alphanumeric": "under a quarter of the bytes are letters or digits",
        "encoded_data": "over half of the file is runs of base64 or hexadecimal",
        "no_documentation_marker": "nothing in the file can be documentation; not parsed",
        "unsupported_language": "there is no grammar for the language",
        "parse_timeout": "the parser ran over its time for one file",
        "parse_failed": "the parser gave no tree",
    }
)
"""Every reason a whole file is refused for, with one line of meaning."""

_VENDORED = word_set(
    "node_modules bower_components jspm_packages vendor vendors vendored _vendor _vendored"
    " third_party third-party thirdparty 3rdparty extern externals godeps _workspace pods carthage"
    " site-packages dist-packages"
)
_GENERATED_FOLDERS = frozenset(("dist", "__generated__", "generated-sources", "generated-src"))
_GENERATED_ENDING_LIST = (
    "_pb2.py _pb2_grpc.py .pb.go .pb.gw.go .pulsar.go .min.js -min.js .min.mjs .bundle.js"
    " .pack.js _pb.js _pb.d.ts _pb.ts _pb_service.js .generated.js .generated.ts .gen.go .gen.ts"
    " _generated.go _generated.rs _generated.py .generated.rs bindata.go _bindata.go _pb.rb"
    " .g.dart .designer.cs"
)
_GENERATED_ENDINGS = tuple(_GENERATED_ENDING_LIST.split())
_GENERATED_FILE = re.compile(r"zz_generated\b|jquery-\d")
_MARKER = re.compile(
    rb"auto-?generated|automatically generated|generated automatically|@generated|do not edit"
    rb"|code generated|file (?:is|was|has been) generated"
    rb"|^[^a-z0-9]{0,16}(?:this \w{1,16} )?(?:is |was )?generated (?:by|from|with|using) ",
    re.MULTILINE,
)
_GO_MARKER = b"// Code generated "
_TEST_WORDS = frozenset(("test", "tests"))
_TEST_FOLDERS = word_set("__tests__ __mocks__ __test__ testdata test-data test_data e2e")
_SPEC_LANGUAGES = frozenset(("ruby", "javascript", "typescript", "tsx", "php"))
_SPEC_WORDS = frozenset(("spec", "specs"))
_NOT_ALPHANUMERIC = bytes(b for b in range(128) if not chr(b).isalnum())
_RUN = re.compile(rb"[A-Za-z0-9+/]{64,}+")
_LONG_RUN = re.compile(rb"[A-Za-z0-9+/]{1024,}+")
_HEAD_BYTES = 400
_HEAD_LINES = 5
_GO_HEAD_BYTES = 4096


def refuse_path(path: str, language: str, options: FilterOptions) -> str:
    """Why the path alone refuses a file: vendored, generated, test_file, or "" for none."""
    return _refuse_path(
        path,
        language,
        options.vendored == "drop",
        options.generated == "drop",
        options.tests == "drop",
    )


@lru_cache(maxsize=1024)
def _refuse_path(path: str, language: str, vendored: bool, generated: bool, tests: bool) -> str:
    *folders, name = path.replace("\\", "/").split("/")
    lowered = [folder.lower() for folder in folders]
    if vendored and not _VENDORED.isdisjoint(lowered):
        return "vendored"
    if generated and _is_generated_path(lowered, name.lower()):
        return "generated"
    if tests and is_test_path(path, language):
        return "test_file"
    return ""


def _is_generated_path(folders: list[str], name: str) -> bool:
    return (
        not _GENERATED_FOLDERS.isdisjoint(folders)
        or name.endswith(_GENERATED_ENDINGS)
        or _GENERATED_FILE.match(name) is not None
    )


def is_test_path(path: str, language: str) -> bool:
    """Whether tests live at `path`, by the conventions of `language`.

    A folder is a test folder when one of its words (split at case and punctuation) is `test`
    or `tests`; a file when its first or last word is. `latest`, `contest`, `unittest` and
    `testing` are other words. `spec` counts where the language's test tools use it.
    """
    *folders, name = path.replace("\\", "/").split("/")
    words = _TEST_WORDS | _SPEC_WORDS if language in _SPEC_LANGUAGES else _TEST_WORDS
    for folder in folders:
        lowered = folder.lower()
        if lowered in _TEST_FOLDERS:
            return True
        if (
            "test" in lowered and not _TEST_WORDS.isdisjoint(name_words(folder))
        ) or lowered in words:
            return True
    stem = name.lower()
    if "test" not in stem and "spec" not in stem:
        return False
    if stem.startswith("conftest."):
        return True
    parts = name_words(name)[:-1] if "." in name else name_words(name)
    if not parts:
        return False
    return parts[0] in _TEST_WORDS or parts[-1] in words


def refuse_content(content: bytes, language: str, options: FilterOptions) -> str:
    """Why the bytes of a file refuse it, or "" when it is to be parsed."""
    size = len(content)
    if size > options.max_file_bytes:
        return "too_large"
    if b"\0" in content:
        return "null_byte"
    if is_minified(content, max_line=options.max_line, max_mean_line=options.max_mean_line):
        return "minified"
    if options.generated == "drop" and has_generated_marker(content, language):
        return "generated"
    if not is_utf8(content):
        return "not_utf8"
    alphanumeric = len(content.translate(None, _NOT_ALPHANUMERIC))
    if alphanumeric * 4 < size:
        return "not_alphanumeric"
    if alphanumeric * 4 > size * 3 and _is_encoded(content, options.max_line):
        return "encoded_data"
    return ""


def refuse_file(path: str, language: str, content: bytes, options: FilterOptions) -> str:
    """The first reason to refuse a file before parsing it; "" for none. See `REASONS`."""
    return refuse_path(path, language, options) or refuse_content(content, language, options)


def is_minified(content: bytes, *, max_line: int, max_mean_line: int) -> bool:
    """Whether a line is over `max_line` bytes or the mean line over `max_mean_line`.

    Jumps from line start to line start, each time over as many lines as fit in a window of
    `max_line` + 1 bytes: a window without a line end is a line that is too long.
    """
    size = len(content)
    start = 0
    while size - start > max_line:
        end = content.rfind(b"\n", start, start + max_line + 1)
        if end < 0:
            return True
        start = end + 1
    ends = content.count(b"\n")
    lines = ends if content.endswith(b"\n") else ends + 1
    return size - ends > max_mean_line * lines


def has_generated_marker(content: bytes, language: str) -> bool:
    """Whether the top of the file says that a generator wrote it."""
    head = b"\n".join(content[:_HEAD_BYTES].split(b"\n", _HEAD_LINES)[:_HEAD_LINES]).lower()
    if _MARKER.search(head) is not None:
        return True
    return language == "go" and content.find(_GO_MARKER, 0, _GO_HEAD_BYTES) >= 0


def is_utf8(content: bytes) -> bool:
    """Strict UTF-8; a byte order mark is accepted."""
    if content.isascii():
        return True
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _is_encoded(content: bytes, max_line: int) -> bool:
    # Runs of 1,024 on one line cannot pass the line check unless the user raised its limit.
    if max_line >= 1024 and _LONG_RUN.search(content) is not None:
        return True
    return sum(len(run) for run in _RUN.findall(content)) * 2 > len(content)
