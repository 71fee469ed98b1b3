"""The best epoch on dev: how it is chosen, and how many worse ones `patience` allows."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from helpers.runs import settings

from sorigeul.base.errors import UserError
from sorigeul.base.progress import progress_bar
from sorigeul.data import manifests
from sorigeul.data.sampling import evaluation_batches
from sorigeul.evaluation.evaluate import recognize, score_recognitions
from sorigeul.pretrained.loading import load_pretrained
from sorigeul.search.options import SearchRequest
from sorigeul.sound.features import make_features
from sorigeul.training.metrics import read_metrics
from sorigeul.training.run import train
from sorigeul.training.running_totals import dev_crr


def test_models_are_compared_by_the_better_of_speller_and_ctc_head() -> None:
    assert dev_crr({"valid_crr": 3.0, "valid_ctc_crr": 60.0}) == 60.0
    assert dev_crr({"valid_crr": 90.0, "valid_ctc_crr": 60.0}) == 90.0
    assert dev_crr({"valid_crr": -5.0}) == -5.0
    assert dev_crr({"test_crr": 50.0}, 4.0) == 4.0
    assert dev_crr({"valid_crr": 90.0, "valid_ctc_crr": 95.0, "valid_beam_crr": 80.0}) == 80.0


def test_epochs_are_compared_by_the_search_that_users_run(
    babble: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """And where another search is asked for, the model from before is compared by that, too."""
    caplog.set_level("INFO", "sorigeul")
    run = tmp_path / "run"
    changes: dict[str, Any] = {"max_steps": 0, "use_augment": False, "ctc_weight": 0.5}
    train(babble, run, settings(**changes, max_epochs=1))
    train(babble, run, settings(**changes, max_epochs=5, dev_beam=3))
    first, *searched = read_metrics(run, "epoch")
    assert "valid_beam_crr" not in first
    (said,) = (one.getMessage() for one in caplog.records if "dev_beam is 3" in one.getMessage())
    rates = {0: float(said.split("CRR of ")[1].split()[0])}
    rates |= {row["epoch"]: row["valid_beam_crr"] for row in searched}
    published = load_pretrained(run)
    best = rates[int(published.results["epoch"])]
    assert best == pytest.approx(max(rates.values()), abs=0.01)
    cuts = manifests.required_manifest(babble, "dev", "")
    batches = evaluation_batches(cuts, published.vocabulary)
    log_mel = make_features(published.features)
    options = published.search_options(SearchRequest(3))
    with progress_bar("", None) as advance:
        share = recognize(published.model, batches, published.vocabulary, log_mel, advance, options)
    score = score_recognitions([share], published.vocabulary, "plain/1").score
    assert score.crr == pytest.approx(best, abs=0.01)


def test_a_run_ends_when_patience_is_exhausted_and_resumes_with_more_of_it(
    babble: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "sorigeul")
    run = tmp_path / "run"
    changes: dict[str, Any] = {"max_steps": 0, "max_epochs": 40, "lr": 1e-6, "use_augment": False}

    def epochs_since_the_best() -> list[int]:
        rates = [dev_crr(row) for row in read_metrics(run, "epoch")]
        return [number - rates.index(max(rates[: number + 1])) for number in range(len(rates))]

    train(babble, run, settings(**changes, patience=2))
    assert epochs_since_the_best()[-1] == 2
    assert max(epochs_since_the_best()[:-1]) < 2
    epochs = len(epochs_since_the_best())
    train(babble, run, settings(**changes, patience=2))
    assert len(epochs_since_the_best()) == epochs
    assert "--patience" in caplog.records[-1].getMessage()
    train(babble, run, settings(**changes, patience=4))
    assert len(epochs_since_the_best()) > epochs
    assert epochs_since_the_best()[-1] == 4


@pytest.mark.parametrize("changes", [{"patience": 1}, {"average_best": 2}])
def test_patience_and_averaging_are_refused_without_a_dev_split(
    babble: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    shutil.copytree(babble, tmp_path / "data")
    (tmp_path / "data" / "dev.jsonl").unlink()
    with pytest.raises(UserError, match=r"need a dev split, and .* has none"):
        train(tmp_path / "data", tmp_path / "run", settings(**changes))
