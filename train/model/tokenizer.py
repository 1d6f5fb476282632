"""Texts to token ids with their marker, the way PyLate and sentence-transformers do it.

Method: white space at the ends goes, the text is cut by bytes before it is tokenised (CodeSearchNet
has a function of 334,374 characters, a tokenizer would spend its time on what is cut off later), it
is tokenised with the special tokens to one token less than the length, and the marker is put behind
the first token. Nothing is padded here and queries are not expanded. PyLate and ColGREP insert the
marker there whatever the first token is, so a tokenizer that puts nothing in front of a text (T5's)
is given a leading token (`with_leading_token`) before it is trained with.

Cost: about 1 MB of code a second and core with the `tokenizers` library. Holds no model and imports
no torch, so that loader processes can use it. Limits: a text that spells a marker, trailing space
included, carries the marker's token there as well: the consumers of the checkpoint do the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from train.document_template import CODE, DocumentTemplate
from train.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

Kind = Literal["query", "document"]
DEFAULT_QUERY_PREFIX = "[Q] "
DEFAULT_DOCUMENT_PREFIX = "[D] "
MIN_LENGTH = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderOptions:
    """What fixes the shape of an encoder's input and output; lengths are in tokens."""

    dim: int = 128
    """Width of a token vector."""
    query_length: int = 64
    """Tokens of a query at most, special tokens and marker included."""
    document_length: int = 512
    query_prefix: str = DEFAULT_QUERY_PREFIX
    """The marker; "" is none."""
    document_prefix: str = DEFAULT_DOCUMENT_PREFIX
    max_text_bytes: int = 16_384
    """Bytes (UTF-8) of a text that are looked at."""
    document_template: str = CODE
    """What a document's text is made of; see `DocumentTemplate`."""

    def __post_init__(self) -> None:
        for name in ("query_length", "document_length"):
            if getattr(self, name) < MIN_LENGTH:
                raise ValueError(f"{name} is {getattr(self, name)}: at least {MIN_LENGTH}")
        for name in ("dim", "max_text_bytes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: at least 1")

        DocumentTemplate(self.document_template)

    @property
    def template(self) -> DocumentTemplate:
        """What makes the text of a document."""
        return DocumentTemplate(self.document_template)

    def length(self, kind: Kind) -> int:
        return self.query_length if kind == "query" else self.document_length

    def prefix(self, kind: Kind) -> str:
        return self.query_prefix if kind == "query" else self.document_prefix


class TextTokenizer:
    """Turns texts into ids; can be sent to loader processes."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, options: EncoderOptions) -> None:
        self.tokenizer = tokenizer
        self.options = options

    def __call__(self, texts: Sequence[str], kind: Kind) -> list[list[int]]:
        """Ids of each text, at most `options.length(kind)` of them, not padded."""
        if not texts:
            return []
        marker = marker_id(self.tokenizer, self.options.prefix(kind))
        room = self.options.length(kind) - (marker is not None)
        cut = [cut_bytes(text.strip(), self.options.max_text_bytes) for text in texts]
        ids: list[list[int]] = self.tokenizer(
            cut,
            truncation=True,
            max_length=room,
            padding=False,
            return_attention_mask=False,
            return_token_type_ids=False,
        )["input_ids"]
        if marker is None:
            return ids
        return [[*row[:1], marker, *row[1:]] for row in ids]


def cut_bytes(text: str, limit: int) -> str:
    """The longest start of `text` whose UTF-8 form has at most `limit` bytes.

    Lone surrogates, which no tokenizer takes, become question marks.
    """
    if text.isascii():
        return text[:limit]
    data = text[:limit].encode("utf-8", errors="replace")
    return data[:limit].decode("utf-8", errors="ignore")


def marker_id(tokenizer: PreTrainedTokenizerFast, prefix: str) -> int | None:
    """The id of a marker; None where there is none. Raises `ModelError` if it is no vocabulary."""
    if not prefix:
        return None
    known = tokenizer.get_added_vocab().get(prefix)
    if known is None:
        raise ModelError(f"the marker {prefix!r} is no entry of the tokenizer's vocabulary")
    return known


def with_leading_token(tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """The tokenizer itself, or one that puts its padding token in front where nothing stood.

    T5's decoder starts with the padding token; as a leading token it is attended to like any other.
    Raises `ModelError` for a tokenizer without padding token.
    """
    from tokenizers import processors
    from transformers import PreTrainedTokenizerFast

    first = tokenizer("a", return_attention_mask=False)["input_ids"][:1]
    if first and first[0] in set(tokenizer.all_special_ids):
        return tokenizer
    lead, last = tokenizer.pad_token, tokenizer.eos_token
    if lead is None:
        raise ModelError("the tokenizer has no padding token")
    backend = tokenizer.backend_tokenizer
    names = [token for token in (lead, last) if token is not None]
    backend.post_processor = processors.TemplateProcessing(
        single=" ".join([lead, "$A", *names[1:]]),
        special_tokens=[(token, tokenizer.convert_tokens_to_ids(token)) for token in names],
    )
    # A class of its own would build its template anew when it is loaded.
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=backend,
        pad_token=lead,
        eos_token=last,
        unk_token=tokenizer.unk_token,
        model_max_length=tokenizer.model_max_length,
    )


def add_markers(tokenizer: PreTrainedTokenizerFast, options: EncoderOptions) -> list[int]:
    """Makes the markers entries of the vocabulary; returns the ids of those that were new."""
    from transformers import AddedToken

    prefixes = [p for p in (options.query_prefix, options.document_prefix) if p]
    added = tokenizer.get_added_vocab()
    new = [p for p in prefixes if p not in added]
    # Not normalised: a lower-casing tokenizer would never match them again.
    tokenizer.add_tokens([AddedToken(p, normalized=False, special=True) for p in new])
    return [tokenizer.get_added_vocab()[p] for p in new]
