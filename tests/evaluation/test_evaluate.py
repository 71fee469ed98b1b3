"""Evaluation: every utterance counts once, whatever the order, the batches and the processes."""

import io
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile
import torch
from helpers import tones
from lhotse import CutSet

from sorigeul.base.errors import UserError
from sorigeul.data import manifests
from sorigeul.data.batches import Batch, UtteranceDataset
from sorigeul.data.sampling import ProcessShare, evaluation_batches
from sorigeul.evaluation.comparison import transcribe_all
from sorigeul.evaluation.evaluate import Evaluation, evaluate, recognize, score_recognitions
from sorigeul.evaluation.scores import score
from sorigeul.pretrained.description import PretrainedModel
from sorigeul.pretrained.loading import load_pretrained
from sorigeul.recognition.recognizer import Recognizer
from sorigeul.recognition.search_setup import SearchSetup
from sorigeul.search.decoding import Search
from sorigeul.search.options import SearchOptions
from sorigeul.sound.audio import SAMPLE_RATE
from sorigeul.sound.features import LogMel

GREEDY = SearchSetup(SearchOptions(beam=1))


@pytest.fixture(scope="module")
def model(run: Path) -> PretrainedModel:
    return load_pretrained(run)


@pytest.fixture
def with_unreadable(tmp_path: Path) -> CutSet:
    """Five readable utterances, a missing file, an empty one and one that is not a recording."""
    folder = tones.manifests(tmp_path, tones.texts(8), ["test"] * 8)
    (tmp_path / "audio" / "u01.wav").unlink()
    (tmp_path / "audio" / "u02.wav").write_bytes(b"")
    (tmp_path / "audio" / "u03.wav").write_bytes(b"not a recording" * 10)
    return manifests.required_manifest(folder, "test")


def greedy_evaluation(model: PretrainedModel, batches: Iterable[Batch]) -> Evaluation:
    """With greedy search, as after an epoch of training."""
    return evaluate(Recognizer(model, setup=GREEDY), batches, model.normalizer)


def batches(model: PretrainedModel, cuts: CutSet) -> list[Batch]:
    return list(evaluation_batches(cuts, model.vocabulary))


def one_by_one(model: PretrainedModel, cuts: CutSet) -> Iterator[Batch]:
    """Batches of one utterance each."""
    dataset = UtteranceDataset(model.vocabulary)
    return (dataset[CutSet.from_cuts([cut])] for cut in cuts)


def hypotheses(evaluation: Evaluation) -> dict[str, str]:
    """The hypothesis of each utterance by its id."""
    return {utterance.id: utterance.hypothesis for utterance in evaluation.recognitions}


# What is recognised


def test_the_score_is_that_of_the_hypotheses(model: PretrainedModel, corpus: Path) -> None:
    evaluation = greedy_evaluation(
        model, batches(model, manifests.required_manifest(corpus, "train"))
    )
    utterances = evaluation.recognitions
    references = [utterance.reference for utterance in utterances]
    assert sorted(references) == sorted(tones.texts(48)[8:])
    speller_texts = [utterance.hypothesis for utterance in utterances]
    assert evaluation.score == score(references, speller_texts, "plain/2")
    ctc_texts = [utterance.ctc_hypothesis or "" for utterance in utterances]
    assert evaluation.ctc_score == score(references, ctc_texts, "plain/2")
    assert evaluation.score.crr > 80  # otherwise the model has learnt nothing to test with
    assert evaluation.ctc_score.crr > 30
    assert not evaluation.failures
    assert 0 < evaluation.loss < 2


def test_a_recognised_utterance_has_its_reference_text_and_alignment(
    model: PretrainedModel, corpus: Path
) -> None:
    cuts = {cut.id: cut for cut in manifests.required_manifest(corpus, "train")}
    evaluation = greedy_evaluation(
        model, batches(model, manifests.required_manifest(corpus, "train"))
    )
    assert sorted(hypotheses(evaluation)) == sorted(cuts)
    for utterance in evaluation.recognitions:
        assert utterance.reference == cuts[utterance.id].supervisions[0].text
        assert utterance.seconds == pytest.approx(cuts[utterance.id].duration)
        assert utterance.hypothesis == "".join(utterance.characters)
        assert utterance.alignment.shape[0] == len(utterance.characters)


def test_a_beam_is_no_worse_than_greedy_search(model: PretrainedModel, corpus: Path) -> None:
    """CTC corrects more of the speller's errors than it adds."""
    corpus_batches = batches(model, manifests.required_manifest(corpus, "train"))
    greedy, beam = (
        evaluate(
            Recognizer(model, setup=SearchSetup(SearchOptions(width))),
            corpus_batches,
            model.normalizer,
        )
        for width in (1, 4)
    )
    assert beam.score.crr >= greedy.score.crr
    assert beam.ctc_score == greedy.ctc_score
    assert beam.loss == greedy.loss


def test_an_epoch_of_training_recognises_whole_utterances(
    model: PretrainedModel, corpus: Path
) -> None:
    batch = batches(model, manifests.required_manifest(corpus, "train"))[0]
    log_mel = LogMel(model.features)
    options = SearchOptions(4)
    share = recognize(model.model, [batch], model.vocabulary, log_mel, lambda *_: None, options)
    with torch.no_grad():
        encoded = model.model.listen(*log_mel(batch.waveforms, batch.lengths))
    expected = [h[0] for h in Search([model.model], options)([encoded])]
    for utterance, hypothesis in zip(share.recognitions, expected, strict=True):
        assert utterance.hypothesis == model.vocabulary.decode(hypothesis.tokens)


def test_evaluation_writes_what_transcription_writes(model: PretrainedModel, corpus: Path) -> None:
    """Also of a recording with silence around it, and of one in which nobody speaks."""
    recognizer = Recognizer(model)
    (batch,) = batches(model, manifests.required_manifest(corpus, "dev"))
    rows = [row[:length] for row, length in zip(batch.waveforms, batch.lengths, strict=True)]
    noise = 0.001 * torch.randn(3 * SAMPLE_RATE, generator=torch.Generator().manual_seed(0))
    rows[1] = torch.cat((noise, rows[1], noise))
    rows[2] = noise
    changed = replace(
        batch,
        waveforms=torch.nn.utils.rnn.pad_sequence(rows, batch_first=True),
        lengths=torch.tensor([len(row) for row in rows]),
    )
    evaluation = evaluate(recognizer, [changed], model.normalizer)
    for utterance, row in zip(evaluation.recognitions, rows, strict=True):
        file = io.BytesIO()
        soundfile.write(file, row.numpy(), SAMPLE_RATE, format="WAV", subtype="FLOAT")
        assert utterance.hypothesis == recognizer.transcribe(file.getvalue()).text
    assert evaluation.recognitions[2].hypothesis == ""


def test_characters_outside_the_vocabulary_are_counted(
    model: PretrainedModel, corpus: Path
) -> None:
    cut = next(iter(manifests.required_manifest(corpus, "train")))
    cut = replace(cut, supervisions=[replace(cut.supervisions[0], text="쀍뷁쀍")])
    evaluation = greedy_evaluation(model, batches(model, CutSet.from_cuts([cut])))
    assert evaluation.unknown == {"쀍": 2, "뷁": 1}
    assert evaluation.to_json()["unknown"] == evaluation.unknown
    assert evaluation.score.crr <= 0


def test_transcripts_without_a_character_cannot_be_scored(
    model: PretrainedModel, corpus: Path
) -> None:
    without_text = [
        replace(batch, texts=[" "] * len(batch))
        for batch in batches(model, manifests.required_manifest(corpus, "dev"))
    ]
    with pytest.raises(UserError, match="no character to score by"):
        greedy_evaluation(model, without_text)
    with pytest.raises(UserError, match="no character to score by"):
        greedy_evaluation(model, [])


# Batches and processes


def test_order_and_batches_do_not_change_the_results(model: PretrainedModel, corpus: Path) -> None:
    cuts = manifests.required_manifest(corpus, "train")
    together = greedy_evaluation(model, batches(model, cuts))
    singles = list(one_by_one(model, cuts))
    for order in (singles, singles[::-1]):
        alone = greedy_evaluation(model, order)
        assert alone.score == together.score
        assert alone.ctc_score == together.ctc_score
        assert alone.loss == pytest.approx(together.loss, rel=1e-4)
        assert hypotheses(alone) == hypotheses(together)


def test_batches_side_by_side_get_the_results_of_one_after_the_other(
    model: PretrainedModel, with_unreadable: CutSet, request: pytest.FixtureRequest
) -> None:
    singles = [*one_by_one(model, with_unreadable)]
    recognizer = Recognizer(model)
    alone = evaluate(recognizer, singles, model.normalizer)
    request.getfixturevalue("three_threads")
    begin = time.perf_counter()
    together = evaluate(recognizer, singles, model.normalizer)
    seconds = sum(utterance.seconds for utterance in together.recognitions)
    assert together.rtf * seconds < time.perf_counter() - begin  # time by the clock
    assert together.score == alone.score
    assert together.failures == alone.failures
    assert hypotheses(together) == hypotheses(alone)
    assert together.loss == pytest.approx(alone.loss, rel=1e-5)


def test_processes_that_share_a_corpus_get_the_results_of_one(
    model: PretrainedModel, corpus: Path, with_unreadable: CutSet
) -> None:
    for cuts in (manifests.required_manifest(corpus, "train"), with_unreadable):
        log_mel = LogMel(model.features)
        whole = recognize(
            model.model, batches(model, cuts), model.vocabulary, log_mel, lambda *_: None
        )
        together = score_recognitions([whole], model.vocabulary, model.normalizer)
        shares = []
        for rank in range(3):
            own_batches = evaluation_batches(cuts, model.vocabulary, share=ProcessShare(rank, 3))
            share = recognize(model.model, own_batches, model.vocabulary, log_mel, lambda *_: None)
            shares.append(share.without_alignments())
            assert not any(utterance.alignment.numel() for utterance in shares[-1].recognitions)
        shared = score_recognitions(shares, model.vocabulary, model.normalizer)
        assert shared.score == together.score
        assert shared.ctc_score == together.ctc_score
        assert shared.loss == pytest.approx(together.loss, rel=1e-4)
        assert shared.failures == together.failures
        assert shared.attention_metrics is not None
        assert together.attention_metrics is not None
        assert vars(shared.attention_metrics) == pytest.approx(
            vars(together.attention_metrics), abs=1e-4
        )
        assert sorted(hypotheses(shared)) == sorted(hypotheses(together))


# Audio that cannot be read


def test_an_utterance_that_cannot_be_read_counts_as_an_empty_hypothesis(
    model: PretrainedModel, with_unreadable: CutSet
) -> None:
    evaluation = greedy_evaluation(model, batches(model, with_unreadable))
    references = tones.texts(8)
    readable = hypotheses(evaluation)
    assert sorted(readable) == ["u00.wav", "u04.wav", "u05.wav", "u06.wav", "u07.wav"]
    texts = [readable.get(f"u0{number}.wav", "") for number in range(8)]
    assert evaluation.score == score(references, texts, "plain/2")
    assert evaluation.score.utterances == 8
    assert evaluation.ctc_score is not None
    assert evaluation.ctc_score.utterances == 8
    assert evaluation.ctc_score.reference_characters == len("".join(references))
    assert sorted(evaluation.failures) == ["u01.wav", "u02.wav", "u03.wav"]
    assert "cannot be opened" in evaluation.failures["u01.wav"]


def test_failures_do_not_depend_on_the_batches(
    model: PretrainedModel, with_unreadable: CutSet
) -> None:
    together = greedy_evaluation(model, batches(model, with_unreadable))
    alone = greedy_evaluation(model, one_by_one(model, with_unreadable))
    assert alone.score == together.score
    assert alone.ctc_score == together.ctc_score
    assert alone.failures == together.failures
    assert alone.loss == pytest.approx(together.loss, rel=1e-4)


def test_a_corpus_without_readable_audio_has_a_recognition_rate_of_zero(
    model: PretrainedModel, with_unreadable: CutSet
) -> None:
    unreadable = CutSet.from_cuts(
        cut for cut in with_unreadable if cut.id in ("u01.wav", "u02.wav", "u03.wav")
    )
    evaluation = greedy_evaluation(model, batches(model, unreadable))
    assert evaluation.recognitions == []
    assert len(evaluation.failures) == 3
    assert evaluation.score.crr == 0


# JSON


def test_json_has_all_results_by_name(model: PretrainedModel, with_unreadable: CutSet) -> None:
    evaluation = greedy_evaluation(model, batches(model, with_unreadable))
    content = evaluation.to_json()
    assert {"crr", "cer", "cer_no_space", "wer", "swer"} <= content.keys()
    assert content["utterances"] == 8
    assert content["reference_characters"] == len("".join(tones.texts(8)))
    assert content["normalizer"] == "plain/2"
    assert content["failures"] == evaluation.failures
    assert content["crr"] == evaluation.score.crr
    assert evaluation.ctc_score is not None
    for name in ("crr", "cer", "wer"):
        assert content[f"ctc_{name}"] == getattr(evaluation.ctc_score, name)
    assert evaluation.attention_metrics is not None
    for name in ("diagonality", "coverage", "focus"):
        assert content[name] == getattr(evaluation.attention_metrics, name)


def test_a_model_without_a_ctc_head_has_no_ctc_results(
    model: PretrainedModel, corpus: Path
) -> None:
    torch.manual_seed(0)
    config = replace(model.model.config, ctc_weight=0.0, guide_weight=0.0)
    without_ctc = type(model.model)(config).eval()
    cuts = manifests.required_manifest(corpus, "dev")
    evaluation = greedy_evaluation(replace(model, model=without_ctc), batches(model, cuts))
    assert evaluation.ctc_score is None
    assert {utterance.ctc_hypothesis for utterance in evaluation.recognitions} == {None}
    assert not [name for name in evaluation.to_json() if name.startswith("ctc")]


# Attention


def test_a_trained_model_is_aligned_and_an_untrained_one_is_not(
    model: PretrainedModel, corpus: Path
) -> None:
    cuts = manifests.required_manifest(corpus, "train")
    trained = greedy_evaluation(model, batches(model, cuts)).attention_metrics
    assert trained is not None
    assert trained.aligned, trained
    assert trained.focus > 0.5
    torch.manual_seed(0)
    untrained_model = replace(model, model=type(model.model)(model.model.config).eval())
    untrained = greedy_evaluation(untrained_model, batches(model, cuts)).attention_metrics
    assert untrained is not None
    assert not untrained.aligned, untrained
    assert untrained.focus < 0.2


def test_a_model_without_attention_has_no_attention_metrics(
    model: PretrainedModel, corpus: Path
) -> None:
    config = replace(model.model.config, use_attention=False, guide_weight=0.0)
    without_attention = replace(model, model=type(model.model)(config).eval())
    cuts = manifests.required_manifest(corpus, "dev")
    evaluation = greedy_evaluation(without_attention, batches(model, cuts))
    assert evaluation.attention_metrics is None
    assert "diagonality" not in evaluation.to_json()


def test_the_alignment_is_in_the_order_of_time_even_with_reversed_input(
    model: PretrainedModel, corpus: Path
) -> None:
    with_reversed_input = replace(model, features=replace(model.features, input_reverse=True))
    cuts = manifests.required_manifest(corpus, "train")
    evaluation = greedy_evaluation(with_reversed_input, batches(with_reversed_input, cuts))
    assert evaluation.attention_metrics is not None
    assert evaluation.attention_metrics.diagonality < 0.1
    # The model attends from its first frame to its last, so from the end of a recording to its
    # beginning.
    forwards = backwards = 0
    for utterance in evaluation.recognitions:
        if len(utterance.characters) > 2:
            peaks = utterance.alignment.argmax(1)
            forwards += int(peaks[-1] > peaks[0])
            backwards += int(peaks[-1] < peaks[0])
    assert backwards > 2 * forwards


def test_utterances_of_one_id_are_told_apart(model: PretrainedModel, tmp_path: Path) -> None:
    folder = tones.manifests(tmp_path, tones.texts(4), ["test"] * 4)
    lines = (folder / "test.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    again = [line.replace('"u03.wav"', '"u00.wav"') for line in (*lines, lines[0], lines[1])]
    (folder / "test.jsonl").write_text("".join(again), encoding="utf-8")
    for name in ("u00.wav", "u01.wav"):
        (tmp_path / "audio" / name).unlink()
    cuts = manifests.required_manifest(folder, "test")
    evaluation = greedy_evaluation(model, batches(model, cuts))
    assert sorted(evaluation.failures) == ["u00.wav (2)", "u00.wav (3)", "u01.wav", "u01.wav (2)"]
    ids = [pair.id for pair in evaluation.pairs]
    assert sorted(ids) == sorted({*ids}) == sorted([*evaluation.failures, "u00.wav", "u02.wav"])
    with pytest.raises(UserError, match="2 ids are of several utterances of the corpus"):
        transcribe_all(["file:none"], cuts, "test", tmp_path)


def test_of_a_text_that_cannot_have_been_said_only_the_beginning_is_forced(
    model: PretrainedModel, tmp_path: Path
) -> None:
    folder = tones.manifests(tmp_path, tones.texts(2), ["test"] * 2)
    lines = (folder / "test.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    text = tones.texts(1)[0]
    lines[0] = lines[0].replace(f'"{text}"', f'"{"가" * 20_000}"')
    (folder / "test.jsonl").write_text("".join(lines), encoding="utf-8")
    cuts = manifests.required_manifest(folder, "test")
    (batch,) = batches(model, cuts)
    assert batch.tokens.shape[1] == 20_000
    evaluation = greedy_evaluation(model, [batch])
    assert math.isfinite(evaluation.loss)
    assert evaluation.score.reference_characters > 20_000
