"""Terms that a user expects, such as names and jargon, as an automaton over characters.

The automaton is that of Aho and Corasick 1975: a tree of the terms whose nodes are beginnings of
terms, with a link from each node to the longest other beginning that it ends in. So terms are found
anywhere in a text, in one step for each character. A unit of several characters is as many steps at
once, so terms are found however a text is divided into units, which may go beyond their ends.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sorigeul.base.arrays import Array, astype, namespace
from sorigeul.base.errors import UserError
from sorigeul.text.file_encoding import read_text_file
from sorigeul.text.normalization import normalizer
from sorigeul.text.vocabulary import Vocabulary

_MOST_CELLS = 50_000_000  # nodes times vocabulary: 600 MB


@dataclass(frozen=True)
class Terms:
    """An automaton of P nodes over V units. Node 0 is the beginning of all terms."""

    following: Array
    """the node after each unit (P, V)"""
    bonuses: Array
    """what a hypothesis gains or loses with each unit (P, V)"""
    unknown: tuple[str, ...] = ()
    """terms with characters that the vocabulary does not have; they are left out"""
    weights: Mapping[str, float] = field(default_factory=dict)
    """the terms that are in it, with their weights"""

    @classmethod
    def read(cls, path: Path, vocabulary: Vocabulary) -> "Terms":
        """Read terms from a text file: one a line, perhaps with a weight after a tab.

        The weight multiplies the bonus, 1 if not given. Raises UserError if there is no such file,
        for a weight that is not a number above 0, and if no term is left.
        """
        if not path.is_file():
            raise UserError(f"{path}: no such file of terms")
        plain = normalizer("plain")
        terms: list[tuple[str, float]] = []
        for number, line in enumerate(read_text_file(path).splitlines(), 1):
            term, _, weight = line.partition("\t")
            try:
                value = float(weight) if weight.strip() else 1.0
            except ValueError:
                value = 0.0
            if not 0 < value <= 100:
                raise UserError(f"{path}:{number}: weight {weight!r} is not a number from 0 to 100")
            if plain(term):
                terms.append((plain(term), value))
        if not terms:
            raise UserError(f"{path}: holds no terms; write one a line")
        return cls.from_terms(terms, vocabulary)

    @classmethod
    def from_terms(cls, terms: Sequence[tuple[str, float]], vocabulary: Vocabulary) -> "Terms":
        """Build the automaton of terms and their weights.

        A node is worth its depth times the weight of its term, the largest if it begins several.
        Raises UserError if the vocabulary can write none of them, and if there are too many.
        """
        unknown = tuple(term for term, _ in terms if vocabulary.unknown(term))
        children: list[dict[int, int]] = [{}]
        worths, complete = [0.0], [False]
        for term, weight in terms:
            if term in unknown:
                continue
            node = 0
            for depth, token in enumerate(vocabulary.encode_characters(term), 1):
                if token not in children[node]:
                    children[node][token] = len(children)
                    children.append({})
                    worths.append(0.0)
                    complete.append(False)
                node = children[node][token]
                worths[node] = max(worths[node], depth * weight)
            complete[node] = True
        if len(children) == 1:
            raise UserError(f"the model cannot write any of the terms, such as {unknown[0]!r}")
        if len(children) * len(vocabulary) > _MOST_CELLS:
            most = _MOST_CELLS // len(vocabulary)
            raise UserError(f"too many terms: {len(children)} characters, at most {most} here")
        weights = {term: weight for term, weight in terms if term not in unknown}
        automaton = _automaton(children, worths, complete, len(vocabulary))
        for unit, characters in enumerate(vocabulary.units[:-3]):
            if len(characters) > 1:
                _add_unit(*automaton, unit, vocabulary.encode_characters(characters))
        return cls(*automaton, unknown=unknown, weights=weights)

    @property
    def most_gain(self) -> float:
        """The most that one unit can gain."""
        return float(self.bonuses.max())

    def like(self, array: Array) -> "Terms":
        """The same in arrays of the kind of this one, on its device."""
        xp, tables = namespace(array), (self.following, self.bonuses)
        moved = [xp.asarray(table, device=array.device) for table in tables]
        return Terms(moved[0], moved[1], self.unknown, self.weights)

    def gains(self, nodes: Array) -> Array:
        """What each next unit gains or loses at `nodes` (N,) -> (N, V)."""
        bonuses = self.bonuses[nodes]
        return astype(bonuses, namespace(bonuses).float64)

    def next_nodes(self, nodes: Array, tokens: Array) -> Array:
        """The nodes (N,) after one of `tokens` (N,) at each of `nodes` (N,)."""
        following = self.following[nodes, tokens]
        return astype(following, namespace(following).int64)


def _automaton(
    children: list[dict[int, int]], worths: list[float], complete: list[bool], vocabulary: int
) -> tuple[Array, Array]:
    """The tables `following` and `bonuses` of a tree.

    What a node is worth is in part certain, by a complete term that its text ends in or has gone
    through, and in part only pending: it is taken back if no term is completed.
    """
    following = np.zeros((len(children), vocabulary), dtype=np.int32)
    links, parents = [0] * len(children), [0] * len(children)
    certain = np.zeros(len(children), dtype=np.float32)
    pending = np.zeros(len(children), dtype=np.float32)
    nodes = [0]
    for node in nodes:  # by depth, so that a link is known before it is needed
        if node:
            following[node] = following[links[node]]
        for token, child in children[node].items():
            links[child] = int(following[links[node], token]) if node else 0
            parents[child] = node
            following[node, token] = child
            certain[child] = max(certain[node], certain[links[child]])
            if complete[child]:
                certain[child] = max(certain[child], worths[child])
            pending[child] = max(worths[child] - certain[child], 0.0)
            nodes.append(child)
    arriving = certain - certain[parents] + pending
    return following, arriving[following] - pending[:, None]


def _add_unit(following: Array, bonuses: Array, unit: int, characters: Sequence[int]) -> None:
    """Fill the column of a unit with where its characters lead to and what they gain, in turn."""
    nodes = np.arange(len(following))
    gains = np.zeros(len(following), bonuses.dtype)
    for character in characters:
        gains += bonuses[nodes, character]
        nodes = following[nodes, character]
    following[:, unit], bonuses[:, unit] = nodes, gains
