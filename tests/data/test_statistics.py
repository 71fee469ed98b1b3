"""Statistics of a manifest, and utterances that are too fast for CTC."""

from collections import Counter
from pathlib import Path

import pytest
from helpers import tones
from helpers.cuts import VOCABULARY, cuts_without_audio
from lhotse import CutSet, MonoCut

from sorigeul.data import manifests
from sorigeul.data.statistics import draw_sample, manifest_statistics, too_fast_for_ctc
from sorigeul.text.vocabulary import SPECIALS, Kind, Vocabulary


def test_statistics_count_utterances_and_characters(cuts: CutSet) -> None:
    statistics = manifest_statistics(cuts)
    assert statistics.utterances == 40
    assert statistics.characters == Counter("".join(tones.texts(48)[8:]))
    assert manifests.normalizer(cuts) == "plain/2"


@pytest.mark.parametrize("kind", ["syllable", "jamo"])
@pytest.mark.parametrize("min_count", [1, 2])
def test_statistics_are_enough_for_a_vocabulary(tmp_path: Path, kind: Kind, min_count: int) -> None:
    texts = ["가각 값이", "가\u1112\u1161나", "Ａ가 é e\u0301 \uac00\u11a8", "ㅋㅋ_ 가", ""]
    statistics = manifest_statistics(cuts_without_audio(tmp_path, [1.0] * 5, texts))
    assert (statistics.utterances, statistics.seconds) == (5, 5.0)
    vocabulary = Vocabulary.from_characters(statistics.characters, kind, min_count)
    assert vocabulary == Vocabulary.from_texts(texts, kind, min_count)


def test_statistics_do_not_make_cuts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Making them would take three times as long, minutes in a corpus of a thousand hours."""
    cuts = cuts_without_audio(tmp_path, [1.0, 2.0])

    def refuse(fields: dict[str, object]) -> MonoCut:
        raise RuntimeError(f"a cut was made of {fields['id']}")

    monkeypatch.setattr(MonoCut, "from_dict", refuse)
    assert manifest_statistics(cuts).utterances == 2
    assert len(list(too_fast_for_ctc(cuts, VOCABULARY, 1.0))) == 1
    with pytest.raises(RuntimeError, match="a cut was made of c0000"):
        list(cuts)


def test_a_sample_depends_on_its_seed(many_cuts: CutSet) -> None:
    sample, again, other = (
        [cut.id for cut in draw_sample(many_cuts, 30, 1000, seed)] for seed in (1, 1, 2)
    )
    assert sample == again
    assert len(set(sample)) == 30
    assert set(sample) != set(other)
    assert sample != sorted(sample)
    assert len(draw_sample(many_cuts, 2000, 1000, 1)) == 1000


def test_texts_too_fast_for_ctc_are_reported_with_the_reason(tmp_path: Path) -> None:
    cuts = cuts_without_audio(tmp_path, [0.3, 0.3, 0.3], ["가나다", "가나다라", "가가나"])
    # At ten frames a second each has three; equal neighbours need a blank between them.
    assert dict(too_fast_for_ctc(cuts, VOCABULARY, 10.0)) == {
        "c0001": "4 CTC frames needed for its text, 3 there",
        "c0002": "4 CTC frames needed for its text, 3 there",
    }
    assert not list(too_fast_for_ctc(cuts, VOCABULARY, 100.0))


def test_unknown_characters_do_not_count_for_ctc(tmp_path: Path) -> None:
    """Without them, equal characters can become neighbours, but the text never needs more frames.

    So only texts that are too fast with their unknown characters are encoded.
    """
    texts = ["가나다", "가가나", "가힣가나", "힣힣힣힣힣힣", "가나다라", "나힣나힣나"]
    cuts = cuts_without_audio(tmp_path, [0.4] * len(texts), texts)
    too_fast = dict(too_fast_for_ctc(cuts, VOCABULARY, 10.0))
    assert too_fast == {"c0005": "5 CTC frames needed for its text, 4 there"}


def test_units_of_several_characters_need_fewer_frames(tmp_path: Path) -> None:
    """And one more than characters, where the space before the first word is a unit."""
    texts = ["가나가나가나", "가나", "나"]
    cuts = cuts_without_audio(tmp_path, [0.25] * 3, texts)
    units = Vocabulary((*" 가나", "가나", *SPECIALS), "bpe")
    found = dict(too_fast_for_ctc(cuts, units, 8.0))
    assert found == {"c0000": "6 CTC frames needed for its text, 2 there"}
    assert len(dict(too_fast_for_ctc(cuts, units, 4.0))) == 3
    syllables = Vocabulary((*" 가나", *SPECIALS))
    assert len(dict(too_fast_for_ctc(cuts, syllables, 4.0))) == 2
