"""The readings of two texts that are most alike, where parts of either may be read in several ways.

A text is a sequence of pieces, each with its alternative readings. The least edit distance over all
pairs of readings is found by dynamic programming over both at once, since their number grows with
the power of the number of pieces. Does not know what the readings of a text are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

Pieces = Sequence[Sequence[str]]
"""pieces of a text in order, each with its readings, the usual one first"""
Row = npt.NDArray[np.int32]
_MOST_NODES = 5_000  # of a graph; its table of 100 MB has as many rows and columns
_MOST_STEPS = 3 * 10**10  # about 20 s
_FAR = 1_000_000  # more edits than any text has characters


def usual_reading(pieces: Pieces) -> str:
    """The text with the first reading of each piece."""
    return "".join(readings[0] for readings in pieces)


def closest_readings(reference: Pieces, hypothesis: Pieces) -> tuple[str, str]:
    """The reading of either text that has the least edit distance to one of the other.

    Spaces do not count. If the usual readings are equal, or the texts are `too_long`, it is they.
    """
    usual = usual_reading(reference), usual_reading(hypothesis)
    if _has_one_reading(reference) and _has_one_reading(hypothesis):
        return usual
    if usual[0].replace(" ", "") == usual[1].replace(" ", "") or too_long(reference, hypothesis):
        return usual
    return _trace_back(_Table(reference, _Graph(hypothesis)))


def too_long(reference: Pieces, hypothesis: Pieces) -> bool:
    """Whether it would take too long, or too much memory, to weigh all readings of two texts."""
    read, heard = (
        sum(len(reading) for readings in pieces for reading in readings)
        for pieces in (reference, hypothesis)
    )
    return heard > _MOST_NODES or read * heard**2 > _MOST_STEPS


def _has_one_reading(pieces: Pieces) -> bool:
    return all(len(readings) == 1 for readings in pieces)


@dataclass(frozen=True)
class _Edge:
    """A character of a reading, on its way from one node of the graph to the next."""

    start: int
    end: int
    character: str
    """empty for a reading without characters: 만 beside 일만"""
    piece: int
    reading: int


class _Graph:
    """The readings of a text as a graph whose paths from the first node to the last spell them.

    Nodes are numbered so that every edge leads to a higher one.
    """

    def __init__(self, pieces: Pieces) -> None:
        self.pieces = pieces
        edges = []
        node = 0  # where the piece begins
        for number, readings in enumerate(pieces):
            spelled = [text.replace(" ", "") for text in readings]
            end = node + 1 + sum(max(len(text) - 1, 0) for text in spelled)
            inner = node + 1
            if not any(spelled):  # nothing but spaces
                continue
            for reading, text in enumerate(spelled):
                if not text:
                    edges.append(_Edge(node, end, "", number, reading))
                start = node
                for place, character in enumerate(text, 1):
                    target = end if place == len(text) else inner
                    edges.append(_Edge(start, target, character, number, reading))
                    inner += place < len(text)
                    start = target
            node = end
        self.size = node + 1
        self.entering: list[list[_Edge]] = [[] for _ in range(self.size)]
        for edge in edges:
            self.entering[edge.end].append(edge)
        spoken = [edge for entering in self.entering for edge in entering if edge.character]
        self._starts = np.array([edge.start for edge in spoken], np.int64)
        self._codes = np.array([ord(edge.character) for edge in spoken], np.int64)
        ends = np.array([edge.end for edge in spoken], np.int64)
        self._groups = np.flatnonzero(np.diff(ends, prepend=-1))
        self._insertions = np.full((self.size, self.size), _FAR, np.int32)
        for node in range(self.size):
            self._insertions[node, node] = 0
            for edge in self.entering[node]:
                through = self._insertions[:, edge.start] + len(edge.character)
                np.minimum(self._insertions[:, node], through, out=self._insertions[:, node])

    def first_row(self) -> Row:
        """Edits from no character of the reference to each node."""
        return cast(Row, self._insertions[0].copy())

    def next_row(self, row: Row, character: str) -> Row:
        """Edits to each node, with one more character of the reference than `row` has."""
        following = row + 1  # the character is deleted
        if len(self._starts):
            replaced = row[self._starts] + (self._codes != ord(character))
            reached = np.minimum.reduceat(replaced, self._groups)
            np.minimum(following[1:], reached, out=following[1:])
        return cast(Row, (following[:, None] + self._insertions).min(0))


class _Table:
    """Least edits from each prefix of each reading of the reference to each node of the graph."""

    def __init__(self, reference: Pieces, graph: _Graph) -> None:
        self.reference, self.graph = reference, graph
        self.rows: list[list[list[Row]]] = []
        """of each piece, of each reading, before its first character and after each"""
        entry = graph.first_row()
        for readings in reference:
            rows = []
            for text in readings:
                row = [entry]
                for character in text.replace(" ", ""):
                    row.append(graph.next_row(row[-1], character))
                rows.append(row)
            self.rows.append(rows)
            entry = np.min([row[-1] for row in rows], axis=0)


def _trace_back(table: _Table) -> tuple[str, str]:
    """The readings on a cheapest way through the table."""
    graph = table.graph
    node = graph.size - 1
    chosen: list[str] = []
    heard = [0] * len(graph.pieces)
    for readings, rows in zip(reversed(table.reference), reversed(table.rows), strict=True):
        number = int(np.argmin([row[-1][node] for row in rows]))
        chosen.append(readings[number])
        text = readings[number].replace(" ", "")
        place = len(text)
        while place:
            here, before = rows[number][place], rows[number][place - 1]
            for edge in filter(_is_spoken, graph.entering[node]):
                if before[edge.start] + (edge.character != text[place - 1]) == here[node]:
                    heard[edge.piece] = edge.reading
                    node, place = edge.start, place - 1
                    break
            else:
                if before[node] + 1 == here[node]:
                    place -= 1
                else:
                    node = _step_back(graph, here, node, heard)
    start = graph.first_row()
    while node:
        node = _step_back(graph, start, node, heard)
    hypothesis = "".join(
        readings[number] for readings, number in zip(graph.pieces, heard, strict=True)
    )
    return "".join(reversed(chosen)), hypothesis


def _step_back(graph: _Graph, row: Row, node: int, heard: list[int]) -> int:
    """The node before a character that is inserted before `node`, or before an empty reading."""
    edge = next(
        edge for edge in graph.entering[node] if row[edge.start] + len(edge.character) == row[node]
    )
    heard[edge.piece] = edge.reading
    return edge.start


def _is_spoken(edge: _Edge) -> bool:
    return edge.character != ""
