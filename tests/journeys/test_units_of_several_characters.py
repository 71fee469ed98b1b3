"""A model that writes units of several characters, from its training to all that recognises."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from helpers import tones
from helpers.commands import Command

from sorigeul import Recognizer
from sorigeul.alignment.script import Script
from sorigeul.data import manifests
from sorigeul.data.manifests import as_lazy_cuts
from sorigeul.pretrained.description import describe_pretrained
from sorigeul.recognition.transcription import Transcription
from sorigeul.search.options import SearchRequest
from sorigeul.sound.audio import SAMPLE_RATE
from sorigeul.text.vocabulary import Vocabulary
from sorigeul.training.settings import Settings

TEXTS = ("나라 다나가 라다", "가나 라다", "다나가 가 나라")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three sentences with pauses between them."""
    silence = np.zeros(SAMPLE_RATE, np.float32)
    parts = [part for text in TEXTS for part in (silence, tones.synthesize(text, 7))]
    path = tmp_path_factory.mktemp("spoken") / "spoken.wav"
    soundfile.write(path, np.concatenate([*parts, silence]), SAMPLE_RATE)
    return path


def words(transcription: Transcription) -> list[Any]:
    return [word for segment in transcription.segments for word in segment.words]


def test_the_run_says_what_its_units_are(bpe_run: Path, bpe_corpus: Path) -> None:
    vocabulary = describe_pretrained(bpe_run).vocabulary
    transcripts = as_lazy_cuts(manifests.required_manifest(bpe_corpus, "train")).transcripts()
    assert vocabulary == Vocabulary.learn((text for _, text, _ in transcripts), 20)
    assert {" 가나", " 다나가", " 나라", " 라다"} < set(vocabulary.units)
    coverage = json.loads((bpe_run / "run.json").read_text("utf-8"))["vocabulary"]
    longer = len(vocabulary) - 5 - 3
    assert coverage.startswith(
        f"{len(vocabulary)} units (bpe), {longer} of them of several characters; 100.00 % of the "
    )


def test_it_is_evaluated_like_any_other(
    sorigeul: Command, bpe_run: Path, bpe_corpus: Path, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    evaluated = sorigeul("evaluate", bpe_run, bpe_corpus, "--json", "-", "--report", page)
    assert evaluated.status == 0, evaluated.err
    assert json.loads(evaluated.out)["crr"] > 40
    assert page.is_file()


def test_words_have_times_and_confidences(bpe_run: Path, recording: Path) -> None:
    transcription = Recognizer.from_pretrained(bpe_run).transcribe(recording)
    assert len(transcription.segments) == len(TEXTS)
    found = words(transcription)
    assert " ".join(word.word for word in found) == transcription.text
    times = [time for word in found for time in (word.start, word.end)]
    assert times == sorted(times)
    assert all(0 < word.confidence <= 1 for word in found)
    for segment in transcription.segments:
        assert "".join(segment.characters).strip() == segment.text
        assert len(segment.alignment) == len(segment.characters)
        assert all(len(character) == 1 for character in segment.characters)


def test_an_export_writes_the_same(
    sorigeul: Command, bpe_run: Path, recording: Path, tmp_path: Path
) -> None:
    exported = sorigeul("export", bpe_run, tmp_path / "exported")
    assert exported.status == 0, exported.err
    own = Recognizer.from_pretrained(bpe_run).transcribe(recording)
    other = Recognizer.from_pretrained(tmp_path / "exported").transcribe(recording)
    assert own.text
    assert other.text == own.text
    pairs = list(zip(words(own), words(other), strict=True))
    assert [(one.word, one.start, one.end) for one, _ in pairs] == [
        (one.word, one.start, one.end) for _, one in pairs
    ]
    assert all(one.confidence == pytest.approx(two.confidence, abs=1e-3) for one, two in pairs)


def test_language_models_in_its_units(
    sorigeul: Command, bpe_run: Path, recording: Path, tmp_path: Path
) -> None:
    """N-grams and a network; their bits a character are those that `lm score` finds."""
    text = tmp_path / "text.txt"
    lines = [f"{one} {two} {three}" for one in TEXTS for two in TEXTS for three in TEXTS]
    text.write_text("\n".join(lines), encoding="utf-8")
    small = ["--embedding_size=8", "--hidden_size=8", "--layers=1", "--max_steps=3"]
    for kind, options in (("ngram", ["--order=3"]), ("recurrent", small)):
        lm = tmp_path / kind
        trained = sorigeul(
            "lm", "train", text, lm, f"--kind={kind}", "--vocabulary", bpe_run, *options
        )
        assert trained.status == 0, trained.err
        heldout = json.loads((lm / "config.json").read_text("utf-8"))["heldout_bits_per_character"]
        assert 0 < heldout < math.inf
        scored = sorigeul("lm", "score", lm, text)
        assert scored.status == 0, scored.err
        assert f"characters: {sum(len(line) + 1 for line in lines)}\n" in scored.out
        sampled = sorigeul("lm", "sample", lm, "--start=다나가")
        assert sampled.status == 0, sampled.err
        assert sampled.out.startswith("다나가")
        assert sorigeul("lm", "sample", lm, "--start=다나가 ").out == sampled.out
        request = SearchRequest(lm=(str(lm),), beam=4)
        recognizer = Recognizer.from_pretrained(bpe_run, request=request)
        assert recognizer.transcribe(recording).text


def test_expected_terms(bpe_run: Path, recording: Path, tmp_path: Path) -> None:
    """A term that units go beyond on both sides is favoured until it is written everywhere."""
    terms = tmp_path / "terms.txt"
    terms.write_text("나가 가나\t50\n", encoding="utf-8")
    request = SearchRequest(beam=8, terms=terms)
    favoured = Recognizer.from_pretrained(bpe_run, request=request).transcribe(recording)
    assert "나가 가나" in favoured.text
    plain = Recognizer.from_pretrained(bpe_run).transcribe(recording)
    assert "나가 가나" not in plain.text


def test_it_is_fine_tuned_on_other_characters(
    sorigeul: Command, bpe_run: Path, tmp_path: Path
) -> None:
    """Its units stay, and the characters of the new corpus are added one by one."""
    texts = ["마나라 가나"] * 4 + ["마 마 다나가"] * 8
    data = tones.manifests(tmp_path / "new", texts, ["dev"] * 2 + ["test"] * 2 + ["train"] * 8)
    tuned = tmp_path / "tuned"
    arguments = ["--init_from", bpe_run, "--batch_size=4", "--lr=1e-6"]
    trained = sorigeul("train", data, tuned, *arguments, "--max_steps=2")
    assert trained.status == 0, trained.err
    old, new = (describe_pretrained(folder).vocabulary for folder in (bpe_run, tuned))
    assert new.units == (*old.units[:-3], "마", *old.units[-3:])
    resumed = sorigeul("train", data, tuned, *arguments, "--max_steps=3")
    assert resumed.status == 0, resumed.err


def test_a_long_recording_is_aligned_with_its_text(
    sorigeul: Command, bpe_run: Path, recording: Path, tmp_path: Path
) -> None:
    """Words bring the space before them, so none is put between them."""
    vocabulary = describe_pretrained(bpe_run).vocabulary
    script = Script.from_lines(TEXTS, vocabulary)
    assert script.tokens == [token for text in TEXTS for token in vocabulary.encode(text)]
    assert script.space == []
    text, aligned = tmp_path / "text.txt", tmp_path / "aligned"
    text.write_text("\n".join(TEXTS), encoding="utf-8")
    done = sorigeul("align", bpe_run, recording, text, aligned, "--min_score=-20")
    assert done.status == 0, done.err
    assert "100% of the text" in done.out + done.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--share_letters=True"], "share_letters is for syllables: set it False"),
        (
            ["--share_letters=False", "--vocabulary_text=."],
            "vocabulary_text is for syllables, which share their letters",
        ),
        (
            ["--share_letters=False", "--bpe_units=8"],
            "bpe_units is 8, but must be more than 8: the texts have 5 different",
        ),
        (["--bpe_units=0"], "bpe_units is 0"),
    ],
)
def test_what_it_cannot_be_with_is_told_in_a_line(
    sorigeul: Command, bpe_corpus: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    refused = sorigeul("train", bpe_corpus, tmp_path / "run", "--vocabulary=bpe", *options)
    assert refused.status == 2
    assert message in refused.err
    assert refused.err.count("\n") == 1
    assert not (tmp_path / "run" / "config.yaml").exists()


def test_a_run_goes_on_with_its_units_only(
    sorigeul: Command, bpe_corpus: Path, tmp_path: Path
) -> None:
    config = tmp_path / "tiny.yaml"
    small = tones.TINY.changed({"vocabulary": "bpe", "bpe_units": 16, "max_steps": 1}, "small")
    config.write_text(small.to_yaml(), encoding="utf-8")
    begun = sorigeul("train", bpe_corpus, tmp_path / "run", "--config", config)
    assert begun.status == 0, begun.err
    assert "16 units (bpe), 8 of them of several characters" in begun.err
    assert Settings.of_run(tmp_path / "run").training.bpe_units == 16
    further = ["train", bpe_corpus, tmp_path / "run", "--max_steps=2"]
    refused = sorigeul(*further, "--bpe_units=18")
    assert refused.status == 2
    assert "was begun with bpe_units 16, not 18" in refused.err
    refused = sorigeul(*further, "--vocabulary=syllable", "--share_letters=False")
    assert refused.status == 2
    assert "was begun with vocabulary bpe, not syllable" in refused.err
    resumed = sorigeul(*further)
    assert resumed.status == 0, resumed.err


def test_the_doctor_learns_its_units(sorigeul: Command, bpe_corpus: Path, tmp_path: Path) -> None:
    """As far as it comes: the vocabulary and the checks of settings, before the overfit test."""
    config = tmp_path / "tiny.yaml"
    small = tones.TINY.changed({"vocabulary": "bpe", "bpe_units": 18}, "small")
    config.write_text(small.to_yaml(), encoding="utf-8")
    examined = sorigeul("doctor", bpe_corpus, "--config", config, "--time_limit=5")
    assert " (bpe); " in examined.out
