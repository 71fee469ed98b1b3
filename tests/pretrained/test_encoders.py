"""Encoders of transformers: what is read of them, what they compute, and what is refused."""

import importlib.util
import json
import re
from collections.abc import Callable
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import torch
import transformers
from helpers.encoders import KINDS, encoder_las, save_encoder
from safetensors.torch import load_file, save_file
from torch import Tensor

from sorigeul import ListenAttendSpell
from sorigeul.base.errors import UserError
from sorigeul.base.thread_pool import BatchThreads
from sorigeul.model import pretrained_listener
from sorigeul.model.pretrained_listener import PretrainedListener
from sorigeul.pretrained.description import CONFIG
from sorigeul.pretrained.encoders import (
    describe_encoder,
    encoder_features,
    load_encoder_weights,
)
from sorigeul.sound.features import make_features

LENGTHS = (30_000, 12_345, 20_001)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model of every kind; the first one has the head of a fine-tuned one. Do not change them."""
    folder = tmp_path_factory.mktemp("encoders")
    for kind in KINDS:
        save_encoder(folder / kind, kind, head=kind == "wav2vec2")
    return {kind: folder / kind for kind in KINDS}


def loaded(listener: str) -> ListenAttendSpell:
    model = ListenAttendSpell(encoder_las(listener))
    weights = load_encoder_weights(listener, model.config.encoder)
    assert isinstance(model.listener, PretrainedListener)
    model.listener.encoder.load_state_dict(weights)
    return model.eval()


def waveforms() -> tuple[Tensor, Tensor]:
    """Noise (B, N), zero after each length, and the lengths (B,)."""
    samples = 0.1 * torch.randn(3, max(LENGTHS), generator=torch.Generator().manual_seed(1)) + 0.02
    for row, length in enumerate(LENGTHS):
        samples[row, length:] = 0.0
    return samples, torch.tensor(LENGTHS)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_features_and_encoder_are_those_of_transformers(
    folders: dict[str, Path], kind: str
) -> None:
    library: Any = transformers
    folder = folders[kind]
    theirs = library.AutoModel.from_pretrained(folder).eval()
    extract = library.AutoFeatureExtractor.from_pretrained(folder)
    model = loaded(f"hf:{folder}")
    features = make_features(encoder_features(model.config.encoder))
    heard: list[Tensor] = []
    model.listener.project.register_forward_pre_hook(lambda _, inputs: heard.append(inputs[0]))
    for samples, length in zip(*waveforms(), strict=True):
        one = samples[:length]
        own, lengths = features(one.unsqueeze(0), length.view(1))
        values = extract(one.numpy(), sampling_rate=16_000, return_tensors="pt")
        if kind == "whisper":
            needed = values["input_features"]
            torch.testing.assert_close(own.transpose(1, 2), needed, rtol=0, atol=1e-4)
            hidden = theirs.encoder(needed).last_hidden_state
        else:
            needed = values["input_values"]
            torch.testing.assert_close(own.squeeze(2), needed, rtol=0, atol=1e-5)
            hidden = theirs(needed).last_hidden_state
        encoded = model.listen(own, lengths)
        frames = int(encoded.ctc_lengths)
        assert frames == heard[-1].shape[1]
        assert abs(frames - int(length) / 320) <= 1  # 50 frames a second
        if kind != "whisper":
            assert frames == hidden.shape[1]
        torch.testing.assert_close(heard[-1], hidden[:, :frames], rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_a_padded_batch_is_its_utterances_one_by_one(folders: dict[str, Path], kind: str) -> None:
    model = loaded(f"hf:{folders[kind]}")
    features = make_features(encoder_features(model.config.encoder))
    batch, lengths = waveforms()
    together = model.listen(*features(batch, lengths))
    assert together.frames.shape[1] == -(-together.ctc_frames.shape[1] // 4)
    for row, length in enumerate(LENGTHS):
        alone = model.listen(*features(batch[row : row + 1, :length], lengths[row : row + 1]))
        for own, shared, count in (
            (alone.frames, together.frames, alone.lengths),
            (alone.ctc_frames, together.ctc_frames, alone.ctc_lengths),
        ):
            frames = int(count)
            torch.testing.assert_close(own[0], shared[row, :frames], rtol=0, atol=1e-5)
            assert not shared[row, frames:].any()


@torch.no_grad()
def test_batches_side_by_side_hear_what_they_hear_one_by_one(folders: dict[str, Path]) -> None:
    """With the normalisation that has to know the lengths of its batch (`UnpaddedGroupNorm`)."""
    model = loaded(f"hf:{folders['wav2vec2']}")
    features = make_features(encoder_features(model.config.encoder))
    batch, lengths = waveforms()
    batches = [features(batch, lengths), features(batch, lengths.flip(0))]

    def hear(heard: tuple[Tensor, Tensor]) -> Tensor:
        with torch.no_grad():
            return model.listen(*heard).ctc_frames

    alone = [hear(one) for one in batches]
    both_are_in_the_encoder = Barrier(2)

    def meet(*_: object) -> None:
        both_are_in_the_encoder.wait(60)

    model.listener.encoder.feature_extractor.conv_layers[0].conv.register_forward_pre_hook(meet)
    with BatchThreads(2) as threads:
        for together, expected in zip(threads.map(hear, batches), alone, strict=True):
            torch.testing.assert_close(together, expected, rtol=0, atol=1e-5)


@torch.no_grad()
def test_padding_would_leak_if_transformers_normalised_it(folders: dict[str, Path]) -> None:
    """Why `UnpaddedGroupNorm` is there: the published base models have no other way."""
    library: Any = transformers
    theirs = library.AutoModel.from_pretrained(folders["wav2vec2"]).eval()
    batch, _ = waveforms()
    padded = theirs(batch[1:2]).last_hidden_state
    alone = theirs(batch[1:2, : LENGTHS[1]]).last_hidden_state
    assert (padded[:, : alone.shape[1]] - alone).abs().max() > 0.01


@torch.no_grad()
def test_whisper_hears_more_than_thirty_seconds_piece_by_piece(folders: dict[str, Path]) -> None:
    model = loaded(f"hf:{folders['whisper']}")
    features = make_features(encoder_features(model.config.encoder))
    samples = 0.1 * torch.randn(1, 31 * 16_000, generator=torch.Generator().manual_seed(1))
    whole = model.listen(*features(samples, torch.tensor([31 * 16_000])))
    second = model.listen(*features(samples[:, 30 * 16_000 :], torch.tensor([16_000])))
    assert whole.ctc_lengths.tolist() == [1550]
    torch.testing.assert_close(
        whole.ctc_frames[:, 1500:], second.ctc_frames[:, :50], rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_shortest_utterances_have_a_frame(folders: dict[str, Path], kind: str) -> None:
    model = loaded(f"hf:{folders[kind]}")
    config = encoder_features(model.config.encoder)
    encoded = model.listen(*make_features(config)(torch.ones(1, 7), torch.tensor([7])))
    assert encoded.lengths.tolist() == encoded.ctc_lengths.tolist() == [1]
    nobody = model.listen(torch.zeros(1, 1, config.width), torch.tensor([0]))
    assert nobody.frames.isfinite().all()


@pytest.mark.parametrize(
    ("changes", "rates"),
    [
        ({"use_pyramidal": False}, (50, 50)),
        ({"time_reduction": 4}, (25, 50)),
        ({"time_reduction": 16}, (6.25, 50)),
    ],
)
def test_the_speller_attends_to_fewer_frames_than_ctc_reads(
    folders: dict[str, Path], changes: dict[str, Any], rates: tuple[float, float]
) -> None:
    config = encoder_las(f"hf:{folders['wav2vec2']}", **changes)
    assert (100 / config.reduction, 100 / config.ctc_reduction) == rates
    model = ListenAttendSpell(config).eval()
    seconds = 16
    encoded = model.listen(torch.randn(1, 16_000 * seconds, 1), torch.tensor([16_000 * seconds]))
    counts = (int(encoded.lengths), int(encoded.ctc_lengths))
    assert all(abs(count - seconds * rate) <= 1 for count, rate in zip(counts, rates, strict=True))


def test_less_memory_does_not_change_the_gradient(folders: dict[str, Path]) -> None:
    model = loaded(f"hf:{folders['wav2vec2-layer']}")
    features = make_features(encoder_features(model.config.encoder))(*waveforms())
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0
    gradients = []
    for recompute in (False, True):
        model.listener.checkpoint_activations = recompute
        model.zero_grad()
        model.listen(*features).frames.sum().backward()
        layer = model.listener.encoder.encoder.layers[0].attention.q_proj.weight
        gradients.append(layer.grad.clone())
    assert gradients[0].any()
    torch.testing.assert_close(*gradients)


def test_weights_are_read_as_older_repositories_have_them(tmp_path: Path) -> None:
    """In a file of PyTorch, with half the bits, and weight normalisation by its old names."""
    listener = save_encoder(tmp_path / "model", "hubert", head=True)
    path = tmp_path / "model" / "model.safetensors"
    expected = {name: weight.half() for name, weight in load_file(path).items()}
    old = {
        "parametrizations.weight.original0": "weight_g",
        "parametrizations.weight.original1": "weight_v",
    }
    renamed = {
        re.sub("|".join(old), lambda match: old[match[0]], name): weight
        for name, weight in expected.items()
    }
    assert renamed.keys() != expected.keys()
    path.unlink()
    torch.save(renamed, tmp_path / "model" / "pytorch_model.bin")
    weights = load_encoder_weights(listener, describe_encoder(listener))
    for name, weight in weights.items():
        assert torch.equal(weight, expected[f"hubert.{name}"].float()), name


# What is refused


def edit(path: Path, **changes: Any) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**content, **changes}), encoding="utf-8")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "bert"}, "of the kind bert, and a pretrained listener must be one of hub"),
        ({"add_adapter": True}, "shortens time after its encoder"),
        ({"conv_stride": [5, 2, 2, 2, 2, 2, 1]}, "has a frame for 160 samples, and only those"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers of the pretrained listener is beyond"),
        ({"hidden_size": "wide"}, "the shape of the pretrained listener cannot be: "),
        (
            {"attention_dropout": 5},
            "attention_dropout of the pretrained listener is 5, but must be",
        ),
        ({"format": "sorigeul/1"}, "is a model of sorigeul: go on from it with --init_from"),
        ({"num_attention_heads": 5}, "the shape of the pretrained listener cannot be: "),
    ],
)
def test_a_model_of_another_kind_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    listener = save_encoder(tmp_path / "model", "wav2vec2")
    edit(tmp_path / "model" / "config.json", **changes)
    with pytest.raises(UserError, match=message) as error:
        load_encoder_weights(listener, describe_encoder(listener))
    assert "\n" not in str(error.value)


def test_a_decoder_takes_no_memory_whatever_its_size(tmp_path: Path) -> None:
    listener = save_encoder(tmp_path / "model", "whisper")
    expected = load_encoder_weights(listener, describe_encoder(listener))
    edit(tmp_path / "model" / "config.json", decoder_layers=10**6)
    found = load_encoder_weights(listener, describe_encoder(listener))
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], weight) for name, weight in expected.items())


class Code:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("this must not run",))


def test_weights_that_hold_code_are_not_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listener = save_encoder(tmp_path / "model", "wav2vec2")
    (tmp_path / "model" / "model.safetensors").unlink()
    torch.save({"weight": Code()}, tmp_path / "model" / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"hold code, .* get the model.safetensors instead"):
        load_encoder_weights(listener, describe_encoder(listener))
    assert "this must not run" not in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["wav2vec2", "whisper"])
def test_an_encoder_without_all_its_weights_is_refused(tmp_path: Path, kind: str) -> None:
    listener = save_encoder(tmp_path / "model", kind)
    path = tmp_path / "model" / "model.safetensors"
    weights = load_file(path)
    gone = [name for name in weights if "encoder.layers.1." in name and "bias" in name]
    kept = {name: weight for name, weight in weights.items() if name not in gone}
    save_file(kept, path, {"format": "pt"})
    with pytest.raises(UserError, match=r"lacks weights of its encoder: .*and \d+ more"):
        load_encoder_weights(listener, describe_encoder(listener))
    if kind == "wav2vec2":
        save_file(weights, path, {"format": "pt"})
        edit(tmp_path / "model" / "config.json", num_hidden_layers=1)
        with pytest.raises(UserError, match=r"has more layers than its config.json says"):
            load_encoder_weights(listener, describe_encoder(listener))
        path.write_bytes(path.read_bytes()[:1000])
        with pytest.raises(UserError, match=r"the weights of .* cannot be read") as error:
            load_encoder_weights(listener, describe_encoder(listener))
        assert "\n" not in str(error.value)


def test_a_folder_must_say_how_samples_are_heard(tmp_path: Path) -> None:
    listener = save_encoder(tmp_path / "model", "wav2vec2")
    preprocessor = tmp_path / "model" / "preprocessor_config.json"
    edit(preprocessor, sampling_rate=8000)
    with pytest.raises(UserError, match="hears 8000 samples a second, and not 16000"):
        describe_encoder(listener)
    # transformers 5 can write it into another file, with the tokenizer.
    nested = {"feature_extractor": {"do_normalize": False, "sampling_rate": 16_000}}
    preprocessor.rename(tmp_path / "model" / "processor_config.json").write_text(json.dumps(nested))
    assert describe_encoder(listener)["do_normalize"] is False
    (tmp_path / "model" / "processor_config.json").unlink()
    with pytest.raises(UserError, match=r"has no preprocessor_config.json, which says"):
        describe_encoder(listener)
    with pytest.raises(UserError, match="is neither a folder of a pretrained listener nor"):
        describe_encoder("hf:nowhere")
    (tmp_path / "model" / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"config.json does not describe a pretrained listener"):
        describe_encoder(listener)


def test_a_hub_that_cannot_be_reached_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="somebody/a-model is no folder here, and the") as error:
        describe_encoder("hf:somebody/a-model")
    assert "\n" not in str(error.value)


def test_without_the_library_it_is_told_what_to_install(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = encoder_las(f"hf:{folders['hubert']}")
    find: Callable[[str], Any] = importlib.util.find_spec
    monkeypatch.setattr(
        pretrained_listener,
        "find_spec",
        lambda name: None if name == "transformers" else find(name),
    )
    for use in (lambda: describe_encoder(config.listener), lambda: ListenAttendSpell(config)):
        with pytest.raises(UserError, match=r"pip install 'sorigeul\[pretrained\]'"):
            use()


def test_a_model_without_an_encoder_is_published_as_before(published: Path) -> None:
    """So that earlier versions read it."""
    content = json.loads((published / CONFIG).read_text(encoding="utf-8"))
    assert "encoder" not in content["model"]
    assert "kind" not in content["features"]
