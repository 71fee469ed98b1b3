"""Tuning: weights that make the fewest errors among the texts found, used by all later searches."""

import json
import re
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
from helpers.commands import Command

from sorigeul import Recognizer
from sorigeul.data import manifests
from sorigeul.data.batches import Batch
from sorigeul.data.sampling import evaluation_batches
from sorigeul.evaluation.encoded_corpus import EncodedCorpus
from sorigeul.evaluation.scores import score
from sorigeul.evaluation.tuning import TunedResult, _fit_weights, _Utterance, tune
from sorigeul.lm.ngram import NgramOptions, train_ngram
from sorigeul.lm.text_data import TextOptions, prepare_text
from sorigeul.pretrained.search_settings import SearchSettings
from sorigeul.search.options import BEAM_WIDTH, LM_BEAM_WIDTH, SearchRequest
from sorigeul.sound.segments import SegmentedRecording
from sorigeul.text.vocabulary import Vocabulary


def test_weights_are_found_that_put_the_right_texts_first() -> None:
    random = np.random.default_rng(5)
    true = np.array([1 - 0.3, 0.3, 1.4, 0.2, 0.6])
    utterances = []
    for _ in range(200):
        utterance = _Utterance("가나다")
        features = random.normal(size=(12, 5)) * [6, 6, 2, 8, 8]
        best = int((features @ true).argmax())
        for index, row in enumerate(features):
            utterance.add((index,), row.tolist(), "가나다" if index == best else "라")
        utterances.append(utterance)
    fitted = _fit_weights(utterances, [0.7, 0.0, 0.1, 0.0])
    assert fitted == pytest.approx([0.3, 1.4, 0.2, 0.6], abs=0.15)


def dev_batches(corpus: Path, vocabulary: Vocabulary) -> list[Batch]:
    return list(evaluation_batches(manifests.required_manifest(corpus, "dev"), vocabulary))


@pytest.fixture(scope="module")
def language_model(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of trigrams in the characters of `run`."""
    folder = tmp_path_factory.mktemp("lm")
    (folder / "text.txt").write_text(
        "가나 다라\n라다 나가\n가가 나나\n다다 라라\n" * 5 + "나라\n가다\n"
    )
    vocabulary = Recognizer.from_pretrained(run, "cpu").pretrained.vocabulary
    text = prepare_text([folder / "text.txt"], folder / "text", vocabulary, TextOptions())
    train_ngram(text, NgramOptions(order=3, prune=(0,))).save(folder / "model")
    return folder / "model"


def tuned(run: Path, corpus: Path, *lm: str, beam: int = 0) -> tuple[Recognizer, TunedResult]:
    recognizer = Recognizer.from_pretrained(run, "cpu", request=SearchRequest(beam, lm=lm))
    batches = dev_batches(corpus, recognizer.pretrained.vocabulary)
    return recognizer, tune(recognizer, batches, "plain/1", beam)


def test_tuning_makes_dev_no_worse_and_says_what_a_search_then_gives(
    run: Path, corpus: Path, language_model: Path
) -> None:
    recognizer, result = tuned(run, corpus, str(language_model))
    assert result.after.cer <= result.before.cer
    assert len(result.options.lm_weights) == 1
    assert (result.options.beam, result.options.nbest) == (BEAM_WIDTH, 1)  # 32 are no better here
    batches = dev_batches(corpus, recognizer.pretrained.vocabulary)
    search = recognizer.with_options(result.options)
    texts, references = [], []
    for batch in batches:
        recordings = [SegmentedRecording.from_samples(row, search.limits) for row in batch.rows()]
        texts += [found.text for found in search.transcribe_all(recordings)]
        references += batch.texts
    assert score(references, texts, "plain/1").cer == pytest.approx(result.after.cer, abs=1.0)


def test_a_beam_stays_if_it_was_asked_for_but_not_if_it_was_tuned_before(
    run: Path, corpus: Path, language_model: Path
) -> None:
    recognizer, result = tuned(run, corpus, str(language_model), beam=9)
    assert result.options.beam == 9
    batches = dev_batches(corpus, recognizer.pretrained.vocabulary)
    again = tune(recognizer.with_options(result.options), batches, "plain/1")
    assert again.options.beam == BEAM_WIDTH


def test_what_comes_before_tuning_is_the_search_as_it_is(
    run: Path, corpus: Path, language_model: Path
) -> None:
    for lm in ((), (str(language_model),)):
        recognizer, result = tuned(run, corpus, *lm)
        encoded = EncodedCorpus.encode(
            recognizer, dev_batches(corpus, recognizer.pretrained.vocabulary)
        )
        found = encoded.search(recognizer, recognizer.search, "as it is")
        texts = [recognizer.pretrained.vocabulary.decode(ranked[0].tokens) for ranked in found]
        assert result.before == score(encoded.references, texts, "plain/1")


def test_recordings_that_cannot_be_read_are_counted(
    run: Path, corpus: Path, tmp_path: Path, sorigeul: Command
) -> None:
    folder = copytree(run, tmp_path / "run")
    lines = (corpus / "dev.jsonl").read_text("utf-8").splitlines()
    cuts = [json.loads(line) for line in lines]
    cuts[1]["recording"]["sources"][0]["source"] = str(tmp_path / "missing.wav")
    manifest = tmp_path / "dev.jsonl"
    manifest.write_text("".join(json.dumps(cut) + "\n" for cut in cuts), "utf-8")
    result = sorigeul("tune", folder, manifest)
    assert result.status == 2
    assert f"{cuts[1]['id']} left out: {tmp_path / 'missing.wav'}" in result.err
    assert f"1 of {len(cuts)} recordings could not be read" in result.err
    assert SearchSettings.read(folder).entries[0].results["utterances"] == len(cuts) - 1
    manifest.write_text(json.dumps(cuts[1]) + "\n", "utf-8")
    before = (folder / "search.json").read_bytes()
    assert "1 of 1 recordings could not be read" in sorigeul("tune", folder, manifest).error()
    assert (folder / "search.json").read_bytes() == before


def test_tuning_twice_gives_the_same(run: Path, corpus: Path) -> None:
    assert tuned(run, corpus)[1] == tuned(run, corpus)[1]


def test_the_command_writes_what_later_searches_use(
    run: Path, corpus: Path, language_model: Path, tmp_path: Path, sorigeul: Command
) -> None:
    folder = copytree(run, tmp_path / "run")
    result = sorigeul("tune", folder, corpus, "--lm", language_model)
    assert result.status == 0
    assert re.search(rf"\| beam +\| +{LM_BEAM_WIDTH} \| +{BEAM_WIDTH} \|", result.out)
    entry = SearchSettings.read(folder).entries[0]
    with_lm = SearchRequest(lm=(str(language_model),))
    recognizer = Recognizer.from_pretrained(folder, "cpu", request=with_lm)
    assert recognizer.setup.options == entry.options
    assert recognizer.calibration is not None
    alone = Recognizer.from_pretrained(folder, "cpu")
    untuned = SearchRequest().options(None, results=alone.pretrained.results)
    assert alone.setup.options == untuned  # nothing was tuned without a language model
    result = sorigeul("evaluate", folder, corpus, "--lm", language_model, "--worst", "0")
    assert result.status == 0
    assert "no weights were tuned" not in result.err
    result = sorigeul("evaluate", run, corpus, "--lm", language_model, "--worst", "0")
    assert "no weights were tuned" in result.err


def test_tuning_on_a_test_split_is_refused(run: Path, corpus: Path, sorigeul: Command) -> None:
    for arguments in (["--split", "test"], ["--split", "eval_clean"]):
        result = sorigeul("tune", run, corpus, *arguments)
        assert result.status == 2
        assert "is there to judge by" in result.err
    assert sorigeul("tune", run, corpus / "test.jsonl").status == 2


def test_a_single_text_has_nothing_to_weigh(run: Path, corpus: Path, sorigeul: Command) -> None:
    refused = sorigeul("tune", run, corpus, "--beam", "1")
    assert refused.status == 2
    assert (
        refused.error()
        == "--beam 1 has a single text, and nothing to weigh: give 2, or leave it out"
    )


def test_a_language_model_of_other_characters_is_refused(
    run: Path, tmp_path: Path, sorigeul: Command, audio: Path
) -> None:
    (tmp_path / "text.txt").write_text("안녕하세요\n반갑습니다\n" * 4)
    vocabulary = Vocabulary.from_texts(["안녕하세요 반갑습니다"])
    text = prepare_text([tmp_path / "text.txt"], tmp_path / "text", vocabulary, TextOptions())
    train_ngram(text, NgramOptions(order=2, prune=(0,))).save(tmp_path / "lm")
    result = sorigeul("transcribe", run, audio / "u00.wav", "--lm", tmp_path / "lm")
    assert result.status == 2
    assert "has other characters than the model" in result.err
