"""The figures of a corpus: nothing missing, nothing counted twice, in whatever order it is read."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers import tones
from lhotse import CutSet

from sorigeul.base.errors import UserError
from sorigeul.data import manifests
from sorigeul.data.batches import Batch, UtteranceDataset
from sorigeul.data.sampling import ProcessShare, evaluation_batches
from sorigeul.evaluation.evaluate import Evaluation, evaluate, recognize, score_recognitions
from sorigeul.evaluation.scores import score
from sorigeul.pretrained.loading import PretrainedModel, load_pretrained
from sorigeul.recognition.recognizer import Recognizer
from sorigeul.search.beam_search import beam_search
from sorigeul.sound.features import LogMel


@pytest.fixture(scope="module")
def model(run: Path) -> PretrainedModel:
    return load_pretrained(run)


def evaluated(model: PretrainedModel, batches: Iterable[Batch]) -> Evaluation:
    """By the speller alone, as an epoch of training is."""
    return evaluate(Recognizer(model, beam=1), batches, model.normalizer)


def batches(model: PretrainedModel, cuts: CutSet) -> list[Batch]:
    return list(evaluation_batches(cuts, model.vocabulary))


def one_by_one(model: PretrainedModel, cuts: CutSet) -> Iterator[Batch]:
    utterances = UtteranceDataset(model.vocabulary)
    return (utterances[CutSet.from_cuts([cut])] for cut in cuts)


def test_the_score_is_that_of_the_recognitions(model: PretrainedModel, corpus: Path) -> None:
    found = evaluated(model, batches(model, manifests.required_manifest(corpus, "train")))
    said = [one.reference for one in found.recognitions]
    assert sorted(said) == sorted(tones.texts(48)[8:])
    assert found.score == score(said, [one.hypothesis for one in found.recognitions], "plain/1")
    by_ctc = [one.ctc_hypothesis or "" for one in found.recognitions]
    assert found.ctc_score == score(said, by_ctc, "plain/1")
    assert found.score.crr > 80  # else the model has learnt nothing, and the rest proves little
    assert found.ctc_score.crr > 30
    assert not found.failures
    assert 0 < found.loss < 2


def test_a_recognition_holds_what_was_heard_and_where(model: PretrainedModel, corpus: Path) -> None:
    cuts = {cut.id: cut for cut in manifests.required_manifest(corpus, "train")}
    found = evaluated(model, batches(model, manifests.required_manifest(corpus, "train")))
    assert sorted(one.id for one in found.recognitions) == sorted(cuts)
    for one in found.recognitions:
        assert one.reference == cuts[one.id].supervisions[0].text
        assert one.seconds == pytest.approx(cuts[one.id].duration)
        assert one.hypothesis == model.vocabulary.decode(one.tokens)
        assert one.alignment.shape[0] == len(one.tokens)


def test_a_beam_hears_the_speller_and_ctc_together(model: PretrainedModel, corpus: Path) -> None:
    """Where the speller alone errs, CTC puts it right more often than not."""
    read = batches(model, manifests.required_manifest(corpus, "train"))
    greedy, searched = (
        evaluate(Recognizer(model, beam=beam), read, model.normalizer) for beam in (1, 4)
    )
    assert searched.score.crr >= greedy.score.crr
    assert searched.ctc_score == greedy.ctc_score
    assert searched.loss == greedy.loss
    (batch, *_) = read
    with torch.no_grad():
        log_mel = LogMel(model.features)
        encoded = model.model.listen(*log_mel(batch.waveforms, batch.lengths))
    found = {one.id: one.tokens for one in searched.recognitions}
    for name, one in zip(batch.ids, beam_search(model.model, encoded, 4), strict=True):
        assert found[name] == one.tokens


def test_order_and_company_change_nothing(model: PretrainedModel, corpus: Path) -> None:
    cuts = manifests.required_manifest(corpus, "train")
    together = evaluated(model, batches(model, cuts))
    singles = list(one_by_one(model, cuts))
    for order in (singles, singles[::-1]):
        found = evaluated(model, order)
        assert found.score == together.score
        assert found.ctc_score == together.ctc_score
        assert found.loss == pytest.approx(together.loss, rel=1e-4)
        assert {one.id: one.hypothesis for one in found.recognitions} == {
            one.id: one.hypothesis for one in together.recognitions
        }


def test_processes_that_share_a_corpus_judge_it_as_one(
    model: PretrainedModel, corpus: Path, with_gaps: CutSet
) -> None:
    for cuts in (manifests.required_manifest(corpus, "train"), with_gaps):
        together = evaluated(model, batches(model, cuts))
        heard = []
        for rank in range(3):
            share = evaluation_batches(cuts, model.vocabulary, share=ProcessShare(rank, 3))
            log_mel = LogMel(model.features)
            part = recognize(model.model, share, model.vocabulary, log_mel, lambda *_: None)
            heard.append(part.without_alignments())
            assert not any(one.alignment.numel() for one in heard[-1].recognitions)
        found = score_recognitions(heard, model.vocabulary, model.normalizer)
        assert found.score == together.score
        assert found.ctc_score == together.ctc_score
        assert found.loss == pytest.approx(together.loss, rel=1e-4)
        assert found.failures == together.failures
        assert found.attention_metrics is not None
        assert together.attention_metrics is not None
        assert vars(found.attention_metrics) == pytest.approx(
            vars(together.attention_metrics), abs=1e-4
        )
        assert sorted(one.id for one in found.recognitions) == sorted(
            one.id for one in together.recognitions
        )


@pytest.fixture
def with_gaps(tmp_path: Path) -> CutSet:
    """Eight utterances to test, of which one is missing, one empty and one no recording."""
    folder = tones.manifests(tmp_path, tones.texts(8), ["test"] * 8)
    (tmp_path / "audio" / "u01.wav").unlink()
    (tmp_path / "audio" / "u02.wav").write_bytes(b"")
    (tmp_path / "audio" / "u03.wav").write_bytes(b"not a recording" * 10)
    return manifests.required_manifest(folder, "test")


def test_what_cannot_be_read_counts_as_recognised_as_nothing(
    model: PretrainedModel, with_gaps: CutSet
) -> None:
    found = evaluated(model, batches(model, with_gaps))
    said = tones.texts(8)
    heard = {one.id: one.hypothesis for one in found.recognitions}
    assert sorted(heard) == ["u00.wav", "u04.wav", "u05.wav", "u06.wav", "u07.wav"]
    expected = score(said, [heard.get(f"u0{number}.wav", "") for number in range(8)], "plain/1")
    assert found.score == expected
    assert found.score.utterances == 8
    assert found.ctc_score is not None
    assert found.ctc_score.utterances == 8
    assert found.ctc_score.reference_characters == len("".join(said))
    assert sorted(found.failures) == ["u01.wav", "u02.wav", "u03.wav"]
    assert "cannot be opened" in found.failures["u01.wav"]


def test_failures_do_not_depend_on_the_batches_they_were_in(
    model: PretrainedModel, with_gaps: CutSet
) -> None:
    together = evaluated(model, batches(model, with_gaps))
    apart = evaluated(model, one_by_one(model, with_gaps))
    assert apart.score == together.score
    assert apart.ctc_score == together.ctc_score
    assert apart.failures == together.failures
    assert apart.loss == pytest.approx(together.loss, rel=1e-4)


def test_a_corpus_of_which_nothing_can_be_read_scores_nothing(
    model: PretrainedModel, with_gaps: CutSet
) -> None:
    bad = CutSet.from_cuts(cut for cut in with_gaps if cut.id in ("u01.wav", "u02.wav", "u03.wav"))
    found = evaluated(model, batches(model, bad))
    assert (found.recognitions, len(found.failures), found.score.crr) == ([], 3, 0)


def test_figures_by_name(model: PretrainedModel, with_gaps: CutSet) -> None:
    found = evaluated(model, batches(model, with_gaps))
    figures = found.to_json()
    assert {"crr", "cer", "cer_no_space", "wer", "swer"} <= figures.keys()
    assert figures["utterances"] == 8
    assert figures["reference_characters"] == len("".join(tones.texts(8)))
    assert figures["normalizer"] == "plain/1"
    assert figures["failures"] == found.failures
    assert figures["crr"] == found.score.crr
    assert found.ctc_score is not None
    for name in ("crr", "cer", "wer"):
        assert figures[f"ctc_{name}"] == getattr(found.ctc_score, name)
    assert found.attention_metrics is not None
    for name in ("diagonality", "coverage", "focus"):
        assert figures[name] == getattr(found.attention_metrics, name)


def test_a_model_without_ctc_has_no_ctc_figures(model: PretrainedModel, corpus: Path) -> None:
    torch.manual_seed(0)
    plain = type(model.model)(replace(model.model.config, ctc_weight=0.0)).eval()
    cuts = manifests.required_manifest(corpus, "dev")
    found = evaluated(replace(model, model=plain), batches(model, cuts))
    assert found.ctc_score is None
    assert {one.ctc_hypothesis for one in found.recognitions} == {None}
    assert not [name for name in found.to_json() if name.startswith("ctc")]


def test_a_trained_model_aligns_and_an_untrained_one_does_not(
    model: PretrainedModel, corpus: Path
) -> None:
    cuts = manifests.required_manifest(corpus, "train")
    trained = evaluated(model, batches(model, cuts)).attention_metrics
    assert trained is not None
    assert trained.formed, trained
    assert trained.focus > 0.5
    torch.manual_seed(0)
    fresh = type(model.model)(model.model.config).eval()
    untrained = evaluated(replace(model, model=fresh), batches(model, cuts)).attention_metrics
    assert untrained is not None
    assert not untrained.formed, untrained
    assert untrained.focus < 0.2


def test_a_model_without_attention_has_no_alignment(model: PretrainedModel, corpus: Path) -> None:
    config = replace(model.model.config, use_attention=False, guide_weight=0.0)
    plain = type(model.model)(config).eval()
    cuts = manifests.required_manifest(corpus, "dev")
    found = evaluated(replace(model, model=plain), batches(model, cuts))
    assert found.attention_metrics is None
    assert "diagonality" not in found.to_json()


def test_hearing_backwards_is_undone_in_the_alignment(model: PretrainedModel, corpus: Path) -> None:
    backwards = replace(model, features=replace(model.features, input_reverse=True))
    cuts = manifests.required_manifest(corpus, "train")
    found = evaluated(backwards, batches(backwards, cuts))
    assert found.attention_metrics is not None
    assert found.attention_metrics.diagonality < 0.1
    # The end of each recording is heard first, and the model reads from first to last.
    later = earlier = 0
    for one in found.recognitions:
        if len(one.tokens) > 2:
            places = one.alignment.argmax(1)
            later += int(places[-1] > places[0])
            earlier += int(places[-1] < places[0])
    assert earlier > 2 * later


def test_transcripts_without_a_character_cannot_be_scored(
    model: PretrainedModel, corpus: Path
) -> None:
    blank = [
        replace(batch, texts=[" "] * len(batch))
        for batch in batches(model, manifests.required_manifest(corpus, "dev"))
    ]
    with pytest.raises(UserError, match="no character to score by"):
        evaluated(model, blank)
    with pytest.raises(UserError, match="no character to score by"):
        evaluated(model, [])


def test_characters_the_model_cannot_write_are_counted(
    model: PretrainedModel, corpus: Path
) -> None:
    cut = next(iter(manifests.required_manifest(corpus, "train")))
    strange = replace(cut, supervisions=[replace(cut.supervisions[0], text="쀍뷁쀍")])
    found = evaluated(model, batches(model, CutSet.from_cuts([strange])))
    assert found.unknown == {"쀍": 2, "뷁": 1}
    assert found.to_json()["unknown"] == found.unknown
    assert found.score.crr <= 0
