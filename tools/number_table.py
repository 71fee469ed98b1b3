"""Writes docs/pansori-numbers.md: the lines of Pansori TEDxKR with digits or letters, read out.

    python tools/number_table.py PANSORI

PANSORI is the folder of the corpus (OpenSLR 58). The table is for people who know Korean, to see
whether each is read as it was said.
"""

import re
import sys
from itertools import groupby
from pathlib import Path

from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.utterances import Utterance
from sorigeul.text.normalization import normalizer
from sorigeul.text.spoken_form import spoken
from sorigeul.text.written_form import written

PAGE = Path(__file__).resolve().parent.parent / "docs" / "pansori-numbers.md"
HEAD = """\
# Numbers in Pansori TEDxKR, read out

Every line of the corpus with digits or Latin letters: {lines} of {utterances}, written by
`tools/number_table.py`. Only the words that change are shown, in bold, and one on either side. A
line that the written form brings back as it was is marked with =; there are {back}. What is
doubtful here, and why, is in the [guide](guide/numbers.md#in-pansori).

판소리(Pansori TEDxKR) 전사에서 숫자나 로마자가 든 모든 줄과 그 읽기입니다. 바뀐 낱말(굵은
글씨)과 그 앞뒤 한 낱말만 보입니다. =는 쓰는 꼴로 바꾸면 원래대로 돌아오는 줄입니다. 확실하지
않은 곳은 [안내서](guide/numbers.ko.md#판소리에서)에 있습니다.

| line | written | read out | |
| --- | --- | --- | --- |
"""
_NUMBER_OR_LETTER = re.compile(r"[\dA-Za-z%℃]")


def main() -> None:
    """Write the page."""
    items = CORPORA["pansori"].read(Path(sys.argv[1]), Path("."), PrepareOptions())
    utterances = [item for item in items if isinstance(item, Utterance)]
    plain = normalizer("plain")
    rows = []
    for utterance in sorted(utterances, key=lambda utterance: utterance.id):
        text = plain(utterance.text)
        if _NUMBER_OR_LETTER.search(text):
            rows.append(_row(utterance.id.partition("-")[2], text))
    back = sum(row.endswith("| = |\n") for row in rows)
    head = HEAD.format(lines=len(rows), utterances=f"{len(utterances):,}", back=back)
    PAGE.write_text(head + "".join(rows), encoding="utf-8")


def _row(name: str, text: str) -> str:
    words = text.split()
    readings = list(map(spoken, words))
    whole = spoken(text)
    if " ".join(readings) != whole:  # a counter that stands apart: the line as a whole
        return f"| {name} | {text} | {whole} | {_mark(whole, text)} |\n"
    changed = [word != reading for word, reading in zip(words, readings, strict=True)]
    shown = [any(changed[max(place - 1, 0) : place + 2]) for place in range(len(words))]
    cells = [
        " … ".join(
            " ".join(f"**{side[place]}**" if changed[place] else side[place] for place in run)
            for is_shown, run in (
                (key, list(run)) for key, run in groupby(range(len(words)), shown.__getitem__)
            )
            if is_shown
        )
        for side in (words, readings)
    ]
    return f"| {name} | {cells[0]} | {cells[1]} | {_mark(whole, text)} |\n"


def _mark(reading: str, text: str) -> str:
    """= if the reading is written as it was."""
    return "=" if written(reading).replace(" ", "") == text.replace(" ", "") else ""


if __name__ == "__main__":
    main()
