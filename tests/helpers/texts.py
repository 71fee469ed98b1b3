"""Any Unicode; text for language models: corpora without recordings, and ids back to lines."""

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from sorigeul.corpora.lhotse_cuts import cut_line
from sorigeul.corpora.utterances import Utterance
from sorigeul.text.vocabulary import Vocabulary

_NUMBER_WORDS = """
    일 이 삼 사 오 육 칠 팔 구 십 백 천 만 억 조 영 공 한 두 세 네 열 스무 스물 서른 점 분의 대 에서
    다시 마이너스 제 명 시 분 년 월 일 퍼센트 킬로미터 원 에이 비 씨 디 에스 엘 알 유 시월 가 를
    이다 여 몇 두세 육이오 3 40 1,5 % km $ A ~ : / - . + = ² ½ ٣ １ Ａ ㎏ \u11a8 \u0301
"""
_WORDS = st.sampled_from([*_NUMBER_WORDS.split(), " ", " ", "\n"])
ANY_TEXT = st.one_of(st.text(), st.lists(_WORDS, max_size=12).map("".join)).map(
    lambda text: unicodedata.normalize("NFC", text)
)
"""Any Unicode in composed form, half of it with number words, digits and signs close together."""


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
