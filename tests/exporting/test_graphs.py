"""Graphs of every structure of the model compute what the model does, in batches of every size."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from helpers.listener_outputs import FRAME_COUNTS, PADDED_FRAMES, Tiny, Utterances

from sorigeul.base.outline import without_memory
from sorigeul.exporting.checks import ExportError, check_export, made_recordings
from sorigeul.exporting.listener_graph import listener_graph
from sorigeul.exporting.row_rounding import rounded_weights
from sorigeul.exporting.run_graphs import make_graphs
from sorigeul.exporting.runtime import LISTENER, SPELLER, OnnxModel
from sorigeul.exporting.speller_graph import speller_graph
from sorigeul.exporting.weight_shapes import weight_shapes
from sorigeul.model.config import LASConfig
from sorigeul.model.las import ListenAttendSpell
from sorigeul.search.decoding import Search
from sorigeul.search.options import SearchOptions
from sorigeul.search.terms import Terms
from sorigeul.sound.feature_config import FeatureConfig
from sorigeul.sound.features import LogMel
from sorigeul.text.vocabulary import Vocabulary

ROW_AND_COLUMN = (np.s_[:1], np.s_[:, :1])

STRUCTURES: list[dict[str, Any]] = [
    {"ctc_weight": 0.3},
    {"score_function": "dot", "time_reduction": 8, "ctc_weight": 0.3, "speller_layer_size": 1},
    {"score_function": "location", "cell": "lstm", "feed_context": True},
    {"score_function": "multi-head", "cell": "rnn", "use_pyramidal": False, "ctc_weight": 0.3},
    {"score_function": "additive", "time_reduction": 8, "use_bidirectional": False},
    {"use_attention": False, "ctc_weight": 0.3},
    {"use_attention": False, "use_bidirectional": False, "cell": "lstm"},
    {"junction_norm": True, "speller_size": 24, "score_function": "multi-head"},
    {"listener": "conformer", "score_function": "dot", "ctc_weight": 0.3},
    {"listener": "conformer", "time_reduction": 8, "listener_layer_size": 4},
]


def weights_of(model: ListenAttendSpell) -> dict[str, Any]:
    return {name: tensor.numpy() for name, tensor in model.state_dict().items()}


def exported(model: ListenAttendSpell, folder: Path, int8: bool = False) -> OnnxModel:
    weights = weights_of(model)
    (folder / LISTENER).write_bytes(listener_graph(model.config, weights, int8).to_bytes())
    (folder / SPELLER).write_bytes(speller_graph(model.config, weights, int8).to_bytes())
    return OnnxModel.from_folder(folder, model.config)


@pytest.mark.parametrize("int8", [False, True])
@pytest.mark.parametrize("changes", STRUCTURES, ids=str)
def test_a_graph_computes_what_its_model_does(
    tiny: Tiny, tmp_path: Path, changes: dict[str, Any], int8: bool
) -> None:
    """In int8, what the model does with its weights rounded in the same way."""
    model = tiny(**changes)
    if int8:
        rounded = rounded_weights(weights_of(model))
        model.load_state_dict({name: torch.tensor(array) for name, array in rounded.items()})
    graphs = exported(model, tmp_path, int8)
    log_mel = LogMel(FeatureConfig(n_mels=8))
    agreement = check_export(model, graphs, log_mel, made_recordings())
    assert agreement.difference < 1e-4


@pytest.mark.parametrize("changes", STRUCTURES, ids=str)
def test_graphs_that_are_made_in_memory_compute_what_their_model_does(
    tiny: Tiny, changes: dict[str, Any]
) -> None:
    model = tiny(**changes)
    graphs = make_graphs(model.config, weights_of(model))
    log_mel = LogMel(FeatureConfig(n_mels=8))
    assert check_export(model, graphs, log_mel, made_recordings()).difference < 1e-4


@pytest.mark.parametrize(
    "config",
    [
        *(LASConfig(**changes) for changes in STRUCTURES),
        LASConfig.seed(),
        LASConfig(score_function="additive", ctc_weight=0.3, time_reduction=8),
        LASConfig(listener="conformer", cell="lstm", listener_layer_size=6),
    ],
    ids=str,
)
def test_the_weights_of_a_model_are_known_without_building_it(config: LASConfig) -> None:
    with without_memory():
        weights = ListenAttendSpell(config).state_dict()
    expected = [(name, tuple(weight.shape)) for name, weight in weights.items()]
    assert list(weight_shapes(config).items()) == expected


def test_weights_of_another_model_are_refused(tiny: Tiny) -> None:
    """Whichever is missing, is too many, or has another shape."""
    model = tiny(ctc_weight=0.3)
    weights = weights_of(model)
    others = [{name: weights[name] for name in weights if name != "ctc.bias"}]
    others.append({**weights, "speller.more": weights["ctc.bias"]})
    others += [{**weights, "ctc.weight": weights["ctc.weight"][part]} for part in ROW_AND_COLUMN]
    for other in others:
        with pytest.raises(ValueError, match="of another model"):
            make_graphs(model.config, other)


@pytest.mark.parametrize("changes", STRUCTURES, ids=str)
def test_a_search_finds_the_same_texts_with_the_same_scores(
    tiny: Tiny, utterances: Utterances, tmp_path: Path, changes: dict[str, Any]
) -> None:
    """Greedy, in a beam with all that it can add up, and its n-best."""
    model = tiny(**changes)
    graphs: Any = exported(model, tmp_path)
    characters = "".join(chr(code) for code in range(ord("가"), ord("가") + 27))
    vocabulary = Vocabulary.from_texts([characters])
    terms = Terms.from_terms([(characters[3:5], 1.0), (characters[7], 2.0)], vocabulary)
    everything = SearchOptions(
        beam=4, length_bonus=0.7, coverage_weight=0.1, internal_lm_weight=0.2, nbest=3
    )
    features, lengths = utterances(*FRAME_COUNTS, frames=PADDED_FRAMES)
    with torch.no_grad():
        encoded = model.listen(features, lengths)
    heard = graphs.listen(features.numpy(), lengths.numpy())
    for options, favoured in ((SearchOptions(beam=1), None), (everything, terms)):
        expected = Search([model], options, terms=favoured)([encoded])
        found = Search([graphs], options, terms=favoured)([heard])
        for own, other in zip(found, expected, strict=True):
            assert [one.tokens for one in own] == [one.tokens for one in other]
            assert [one.score for one in own] == pytest.approx(
                [one.score for one in other], abs=1e-3
            )
            for one, same in zip(own, other, strict=True):
                assert one.score == pytest.approx(same.score, abs=1e-3)
                assert one.finished == same.finished
                assert one.repetitive == same.repetitive
                assert one.probabilities == pytest.approx(same.probabilities, abs=1e-4)
                np.testing.assert_allclose(one.alignment, same.alignment, rtol=0, atol=1e-4)
    assert any(one.tokens for several in expected for one in several)


def test_no_size_of_a_batch_is_written_into_a_graph(tiny: Tiny, tmp_path: Path) -> None:
    exported(tiny(ctc_weight=0.3), tmp_path)
    for name in (LISTENER, SPELLER):
        graph = onnx.load(tmp_path / name).graph
        for value in (*graph.input, *graph.output):
            sizes = value.type.tensor_type.shape.dim
            assert any(size.dim_param == "B" for size in sizes), value.name
            assert not any(size.dim_value == 1 for size in sizes), value.name


def test_a_graph_that_computes_something_else_is_found_out(tiny: Tiny, tmp_path: Path) -> None:
    model = tiny(ctc_weight=0.3)
    graphs = exported(model, tmp_path)
    log_mel = LogMel(FeatureConfig(n_mels=8))
    for part, name in ((model.ctc, "CTC head"), (model.speller.out, "speller")):
        with torch.no_grad():
            part.bias[3] += 0.5
        with pytest.raises(ExportError, match=f"exported {name} differs"):
            check_export(model, graphs, log_mel, made_recordings())
        with torch.no_grad():
            part.bias[3] -= 0.5


def test_eight_bits_take_a_quarter_of_the_space(tiny: Tiny, tmp_path: Path) -> None:
    model = tiny(hidden_size=64, ctc_weight=0.3)
    sizes = []
    for int8 in (False, True):
        exported(model, tmp_path, int8)
        sizes.append(sum((tmp_path / name).stat().st_size for name in (LISTENER, SPELLER)))
    assert sizes[1] < sizes[0] / 3
