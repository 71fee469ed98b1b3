"""N-gram language models of characters: training, a memory-mapped file, scores in batches.

Interpolated modified Kneser-Ney in the units of a recogniser's vocabulary. N texts side by side,
V vocabulary. A text is known by its last n - 1 tokens, packed into one integer, for order n; before
its beginning stands ``<s>``. Computes in NumPy on the CPU, whatever the device of the scores, and
needs no PyTorch: where that is not loaded, scores are arrays of NumPy.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from math import log
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray

from sorigeul.base.arrays import Array, to_numpy
from sorigeul.base.errors import UserError
from sorigeul.base.progress import progress_bar
from sorigeul.base.ranges import COUNT_OR_NONE, Range, check_ranges
from sorigeul.base.weight_arrays import read_arrays
from sorigeul.lm.kneser_ney import count_ngrams, ngram_table, unigram_probabilities
from sorigeul.lm.language_model import LanguageModel, unit_lengths
from sorigeul.lm.model_files import (
    CONFIG,
    WEIGHTS,
    build_settings,
    read_description,
    write_description,
)
from sorigeul.lm.ngram_tables import NgramTable, Packing, with_line_starts
from sorigeul.text.vocabulary import Vocabulary

if TYPE_CHECKING:  # text is read with lhotse, which recognition should not wait a second for
    import torch

    from sorigeul.lm.text_data import TextData

_CHUNK = 1 << 18  # tokens of a long text that are scored at a time


@dataclass(frozen=True)
class NgramOptions:
    """Settings of an n-gram model."""

    order: Annotated[int, Range(2, 63)] = 5
    """characters of the longest n-grams: at least 2, and as many as fit into 63 bits"""
    prune: Annotated[tuple[int, ...], COUNT_OR_NONE] = (0, 0, 0, 0, 1)
    """n-grams of order 1, 2, ... whose count is at most this are dropped; the last number holds for
    all higher orders. What counts is how often an n-gram of the highest order occurs, and after how
    many different characters a shorter one does (see `NgramCounts`)"""

    def __post_init__(self) -> None:
        """Check the settings."""
        check_ranges(self)
        if not self.prune or self.prune[0] != 0 or list(self.prune) != sorted(self.prune):
            raise UserError(
                "prune must be numbers that begin with 0 (single characters are always kept) and "
                f"never fall, such as 0 0 0 0 1, not {' '.join(map(str, self.prune)) or 'empty'}"
            )

    def threshold(self, order: int) -> int:
        """n-grams of `order` whose count is at most this are dropped."""
        return self.prune[min(order, len(self.prune)) - 1]


@dataclass(frozen=True)
class NgramState:
    """The last tokens of N texts."""

    contexts: NDArray[np.int64]
    """packed (N,)"""

    def select(self, rows: Array) -> "NgramState":
        """The state of the texts in `rows` (M,), which may repeat."""
        return NgramState(self.contexts[to_numpy(rows)])


class NgramModel(LanguageModel[NgramState]):
    """An n-gram language model.

    Parameters
    ----------
    vocabulary : the units it predicts
    options : with which it was trained
    unigrams : probabilities (V,)
    tables : n-grams of order 2, 3, ...
    facts : what else is known of it, such as ``heldout_bits_per_character``
    """

    kind = "ngram"

    def __init__(
        self,
        vocabulary: Vocabulary,
        options: NgramOptions,
        unigrams: NDArray[np.float32],
        tables: Sequence[NgramTable],
        facts: Mapping[str, Any],
    ) -> None:
        self.vocabulary, self.options, self.facts = vocabulary, options, dict(facts)
        self.unigrams, self.tables = unigrams, tuple(tables)
        self.fingerprint = _fingerprint(vocabulary, options, unigrams, tables)
        self._packing = Packing(len(vocabulary))
        self._device: torch.device | str = "cpu"

    @property
    def order(self) -> int:
        """Characters of the longest n-grams."""
        return len(self.tables) + 1

    def to(self, device: "torch.device | str") -> None:
        """Return scores on `device` from now on; the n-grams stay where they are."""
        self._device = device

    def start(self, rows: int) -> NgramState:
        """The state of so many empty texts."""
        # Only one <s> counts. A context with two of them is in no table, so shorter ones are used.
        context = self._packing.pack([self.vocabulary.sos_id] * (self.order - 1))
        return NgramState(np.full(rows, context, np.int64))

    def advance(self, state: NgramState, tokens: Array) -> NgramState:
        """The state after one more character in each text, `tokens` (N,)."""
        contexts = state.contexts << self._packing.bits | to_numpy(tokens).astype(np.int64)
        return NgramState(contexts & self._packing.mask(self.order - 1))

    def scores(self, state: NgramState) -> Array:
        """Natural log-probabilities of the next character and of ``</s>`` (N, V), in float32."""
        contexts = state.contexts
        size = len(self.unigrams)
        probabilities = np.tile(self.unigrams, len(contexts))
        for length, table in enumerate(self.tables, 1):
            rows, places = table.find(contexts & self._packing.mask(length))
            if not len(rows):
                continue
            backoffs = np.ones((len(contexts), 1), np.float32)
            backoffs[rows, 0] = table.backoffs[places]
            probabilities.reshape(-1, size)[:] *= backoffs
            lengths, tokens, weights = table.continuations(places)
            probabilities[np.repeat(rows * size, lengths) + tokens] += weights
        with np.errstate(divide="ignore"):
            scores = np.log(probabilities.reshape(-1, size))
        torch = sys.modules.get("torch")
        return scores if torch is None else torch.from_numpy(scores).to(self._device)

    def log_probabilities(self, ids: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """Natural log-probability of each token of a text, in order.

        `ids` are lines that each end with ``</s>``, as in `TextData`. Characters and ``</s>``
        count; unknown characters (``_``) are left out as targets, not in contexts.
        """
        text = with_line_starts(ids, self.vocabulary.sos_id, self.vocabulary.eos_id)
        parts = [self._log_probabilities(part, begin) for part, begin in self._chunks(text)]
        return np.concatenate(parts)

    def _chunks(self, text: NDArray[Any]) -> Iterator[tuple[NDArray[Any], int]]:
        """Pieces of a text with the tokens before them, and where the piece itself begins."""
        for begin in range(0, len(text), _CHUNK):
            context = min(begin, self.order - 1)
            yield text[begin - context : begin + _CHUNK], context

    def _log_probabilities(self, text: NDArray[Any], begin: int) -> NDArray[np.float64]:
        """Of each token that may be predicted from `begin` on."""
        predicted = (text != self.vocabulary.sos_id) & (text != self.vocabulary.pad_id)
        predicted[:begin] = False
        targets = np.flatnonzero(predicted)
        contexts = self._packing.windows(text, self.order - 1)[targets - 1]
        tokens = text[targets].astype(np.int64)
        probabilities = self.unigrams[tokens].astype(np.float64)
        for length, table in enumerate(self.tables, 1):
            rows, places = table.find(contexts & self._packing.mask(length))
            if len(rows):
                probabilities[rows] *= table.backoffs[places]
                probabilities[rows] += table.weights_of(places, tokens[rows])
        return np.log(probabilities)

    def save(self, folder: Path) -> None:
        """Write the model into a folder, ``config.json`` last. Each file is replaced atomically.

        Raises OSError if a file cannot be written.
        """
        import torch

        from sorigeul.base.weights import write_weights

        arrays = {"unigrams": self.unigrams}
        for order, table in enumerate(self.tables, 2):
            arrays |= {f"{order}.{part}": getattr(table, part) for part in _PARTS}
        write_weights(
            folder / WEIGHTS, {name: torch.from_numpy(array) for name, array in arrays.items()}
        )
        write_description(folder, self.kind, asdict(self.options), self.vocabulary, self.facts)

    @classmethod
    def load(cls, folder: Path) -> "NgramModel":
        """Load what `save` wrote. The n-grams are memory-mapped: read when they are needed.

        Raises UserError if the folder holds no n-gram model, or a damaged one.
        """
        description = read_description(folder)
        if description.kind != cls.kind:
            raise UserError(f"{folder} holds no n-gram model, but a {description.kind} one")
        options = build_settings(NgramOptions, description)
        path, size = folder / WEIGHTS, len(description.vocabulary)
        arrays, _ = read_arrays(path)
        try:
            unigrams = arrays["unigrams"]
            tables = [
                NgramTable(**{part: arrays[f"{order}.{part}"] for part in _PARTS})
                for order in range(2, options.order + 1)
            ]
            if len(arrays) > 1 + len(_PARTS) * len(tables):
                raise ValueError(f"it has n-grams of a higher order than {options.order}")
            if unigrams.shape != (size,) or unigrams.min() < 0:
                raise ValueError(f"unigrams of a vocabulary of {unigrams.shape}")
            for table in tables:
                table.check(size)
        except (KeyError, ValueError) as error:
            raise UserError(
                f"{path} does not fit {CONFIG} ({error}): both must come from one training"
            ) from error
        return cls(description.vocabulary, options, unigrams, tables, description.facts)


_PARTS = tuple(field.name for field in fields(NgramTable))


def _fingerprint(
    vocabulary: Vocabulary,
    options: NgramOptions,
    unigrams: NDArray[np.float32],
    tables: Sequence[NgramTable],
) -> str:
    """SHA-256 (hexadecimal) of what depends on all of the text, but is quickly read.

    The unigrams depend on every pair of characters, and the sizes of the tables on all n-grams.
    """
    sizes = [getattr(table, part).shape for table in tables for part in _PARTS]
    digest = sha256(f"{vocabulary.hash} {options} {sizes}".encode())
    digest.update(np.ascontiguousarray(unigrams).tobytes())
    return digest.hexdigest()


def train_ngram(text: "TextData", options: NgramOptions) -> NgramModel:
    """Estimate an n-gram model from the training lines of a text.

    Its facts are the normaliser in the report of the text, and the bits a character on the held-out
    lines, with ``</s>`` counted as a character (None if there are no such lines).
    Takes about 30 bytes of memory a character. Raises UserError if the order is too high for the
    vocabulary, or if the text is empty.
    """
    vocabulary, order = text.vocabulary, options.order
    longest = Packing(len(vocabulary)).longest
    if order > longest:
        raise UserError(
            f"order {order} is too high for a vocabulary of {len(vocabulary)} units: "
            f"choose at most {longest}"
        )
    if not (text.train != vocabulary.pad_id).any():
        raise UserError("the text has no character of the vocabulary: add text to train on")
    ids = with_line_starts(text.train, vocabulary.sos_id, vocabulary.eos_id)
    tables = []
    with progress_bar("n-gram model", order) as advance:
        by_order = count_ngrams(ids, order, vocabulary)
        for length, ngrams in zip(range(order, 0, -1), by_order, strict=True):
            if length > 1:
                tables.append(ngram_table(ngrams, len(vocabulary), options.threshold(length)))
            else:
                unigrams = unigram_probabilities(ngrams, vocabulary)
            advance(1, f"{length}-grams")
    facts = {"normalizer": text.report.get("normalizer")}
    model = NgramModel(vocabulary, options, unigrams, tables[::-1], facts)
    heldout = model.log_probabilities(text.heldout)
    bits = None
    if len(heldout):
        characters = int(unit_lengths(vocabulary)[text.heldout].sum())
        bits = round(-float(heldout.mean()) * len(heldout) / characters / log(2), 4)
    model.facts["heldout_bits_per_character"] = bits
    return model
