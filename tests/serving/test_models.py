"""The models that are served: their names, and terms of the server and of a client together."""

from pathlib import Path

import pytest

from sorigeul import Recognizer
from sorigeul.base.errors import UserError
from sorigeul.search.options import SearchRequest
from sorigeul.search.terms import Terms
from sorigeul.serving.metrics import Metrics
from sorigeul.serving.models import load_recognizers, serve_models, served_name
from sorigeul.sound.segments import SegmentedRecording


def test_a_model_has_the_name_of_its_folder_or_of_its_repository(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    assert served_name(f"{tmp_path}/mine/") == "mine"
    assert served_name("somebody/korean") == "korean"


def test_two_models_of_one_name_are_refused(run: Path) -> None:
    with pytest.raises(UserError, match=f"two models have the name {run.name}"):
        load_recognizers([str(run), str(run)], "float32", SearchRequest())


@pytest.mark.parametrize(
    ("own", "of_client"), [("라라라라", "라다나가다다"), ("라다나가다다", "라라라라")]
)
def test_terms_of_a_client_come_beside_those_of_the_server(
    run: Path, recognizer: Recognizer, wav: bytes, tmp_path: Path, own: str, of_client: str
) -> None:
    """Either of them favours what is nearly said."""
    (tmp_path / "terms.txt").write_text(f"{own}\n", encoding="utf-8")
    request = SearchRequest(terms=tmp_path / "terms.txt")
    (served,) = serve_models(load_recognizers([str(run)], "float32", request), Metrics()).values()
    both = Terms.from_terms([(own, 1.0), (of_client, 1.0)], recognizer.pretrained.vocabulary)
    from sorigeul.sound import audio

    speech = SegmentedRecording.from_samples(audio.load(wav).samples, recognizer.limits).segments
    client = served.queue.client(((of_client, 1.0),))
    found = [segment.segment.text for segment in client.recognize(speech)]
    wanted = [each.segment.text for each in recognizer.with_terms(both).recognize(speech)]
    alone = [each.segment.text for each in recognizer.recognize(speech)]
    served.queue.stop()
    assert found == wanted
    assert found != alone
