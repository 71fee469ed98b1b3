"""Text for language models: prepared corpora without recordings, and ids back to lines."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sorigeul.corpora.lhotse_cuts import cut_line
from sorigeul.corpora.utterances import Utterance
from sorigeul.text.vocabulary import Vocabulary


def corpus_of(folder: Path, **splits: Sequence[str]) -> Path:
    """Write the manifests of a prepared corpus with these transcripts; return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, transcripts in splits.items():
        lines = [
            cut_line(Utterance(f"{split}{i}", folder / "none.wav", text, duration=1.0), "plain/1")
            for i, text in enumerate(transcripts)
        ]
        (folder / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder


def lines_of(ids: npt.NDArray[np.unsignedinteger], vocabulary: Vocabulary) -> list[str]:
    """The lines of prepared text; ? for characters that the vocabulary does not have."""
    units = [*vocabulary.units[:-3], "<s>", "\n", "?"]
    text = "".join(units[i] for i in ids)
    assert text == "" or text.endswith("\n")
    return text.split("\n")[:-1]
