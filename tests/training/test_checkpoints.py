"""Models and states that come back as they were written, or say in one line why they do not."""

import json
import logging
import os
import random
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sorigeul import ListenAttendSpell
from sorigeul.base.errors import UserError
from sorigeul.pretrained.loading import (
    CONFIG,
    VOCABULARY,
    WEIGHTS,
    PretrainedModel,
    load_pretrained,
)
from sorigeul.pretrained.publishing import publish
from sorigeul.sound.features import FeatureConfig
from sorigeul.text.vocabulary import Vocabulary
from sorigeul.training import checkpoints
from sorigeul.training.checkpoints import CHECKPOINTS
from sorigeul.training.random_state import random_state, restore_random_state

HANGUL = "".join(chr(code) for code in range(ord("가"), ord("가") + 27))

Build = Callable[..., ListenAttendSpell]
Noise = Callable[..., tuple[Tensor, Tensor]]


def pretrained(model: ListenAttendSpell, characters: str = HANGUL) -> PretrainedModel:
    features = FeatureConfig(n_mels=8, window="hann")
    vocabulary = Vocabulary.from_texts([characters])
    return PretrainedModel(model, features, vocabulary, "plain/1", {"valid_crr": "12.34"})


@pytest.fixture
def published(tmp_path: Path, tiny: Build) -> Path:
    publish(tmp_path / "run", pretrained(tiny()))
    return tmp_path / "run"


def one_line(error: pytest.ExceptionInfo[UserError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


# Publish and load


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"ctc_weight": 0.3, "score_function": "location"},
        {"cell": "lstm", "use_bidirectional": False, "score_function": "multi-head"},
        {"use_attention": False, "use_pyramidal": False},
    ],
)
def test_a_loaded_model_is_the_published_one(
    tmp_path: Path, tiny: Build, utterances: Noise, changes: dict[str, Any]
) -> None:
    model = tiny(**changes)
    publish(tmp_path, pretrained(model))
    loaded = load_pretrained(tmp_path)
    assert not loaded.model.training
    assert loaded.model.config == model.config
    inputs = (*utterances(70, 40), torch.tensor([[1, 2, 3], [4, 5, 29]]))
    with torch.no_grad():
        before, after = model(*inputs), loaded.model(*inputs)
    assert torch.equal(before.logits, after.logits)
    assert torch.equal(before.alignments, after.alignments)
    assert (before.ctc_logits is None) == (after.ctc_logits is None)
    if before.ctc_logits is not None:
        assert torch.equal(before.ctc_logits, after.ctc_logits)


def test_what_goes_with_the_model_comes_back(tmp_path: Path, tiny: Build) -> None:
    given = pretrained(tiny())
    publish(tmp_path, given)
    loaded = load_pretrained(str(tmp_path))
    assert replace(loaded, model=given.model) == given


def test_a_published_model_is_three_files_that_need_no_pickle(published: Path) -> None:
    assert {path.name for path in published.iterdir()} == {WEIGHTS, CONFIG, VOCABULARY}
    json.loads((published / CONFIG).read_text(encoding="utf-8"))
    json.loads((published / VOCABULARY).read_text(encoding="utf-8"))
    content = (published / WEIGHTS).read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert header.pop("__metadata__")["valid_crr"] == "12.34"
    assert {"dtype", "shape", "data_offsets"} == {key for part in header.values() for key in part}


def test_a_newer_model_takes_the_place_of_the_older(published: Path, tiny: Build) -> None:
    model = tiny(hidden_size=6)
    publish(published, replace(pretrained(model), results={"valid_crr": "56.78"}))
    loaded = load_pretrained(published)
    assert loaded.model.config.hidden_size == 6
    assert loaded.results == {"valid_crr": "56.78"}


@pytest.mark.parametrize("name", [WEIGHTS, CONFIG, VOCABULARY])
def test_a_run_without_a_finished_model_is_refused(published: Path, name: str) -> None:
    (published / name).unlink()
    with pytest.raises(UserError, match="holds no finished model") as error:
        load_pretrained(published)
    assert f"({name} missing)" in one_line(error)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: b"",
        lambda content: b"not weights at all, but quite long enough to be read as a header",
        lambda content: content[:8] + b"\xff" * 200 + content[208:],
    ],
    ids=["half", "a byte short", "empty", "other", "header"],
)
def test_damaged_weights_are_refused(published: Path, damage: Callable[[bytes], bytes]) -> None:
    path = published / WEIGHTS
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match="is damaged") as error:
        load_pretrained(published)
    assert str(path) in one_line(error)


def test_weights_that_are_a_pickle_are_refused_unread(published: Path, tmp_path: Path) -> None:
    torch.save(Trap(tmp_path / "sprung"), published / WEIGHTS)
    with pytest.raises(UserError, match="is damaged"):
        load_pretrained(published)
    assert not (tmp_path / "sprung").exists()


class Trap:
    """Its pickle makes a folder when it is read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def test_the_trap_works(tmp_path: Path) -> None:
    torch.save(Trap(tmp_path / "sprung"), tmp_path / "trap")
    torch.load(tmp_path / "trap", weights_only=False)
    assert (tmp_path / "sprung").exists()


def test_another_vocabulary_of_the_same_size_is_refused(published: Path) -> None:
    other = Vocabulary.from_texts([HANGUL[:-1] + "힣"])
    (published / VOCABULARY).write_text(other.to_json(), encoding="utf-8")
    with pytest.raises(UserError, match="is not the vocabulary of") as error:
        load_pretrained(published)
    assert str(published / VOCABULARY) in one_line(error)


def test_vocabulary_and_configuration_of_another_run_are_refused(
    published: Path, tmp_path: Path, tiny: Build
) -> None:
    other = tmp_path / "other"
    publish(other, pretrained(tiny(), HANGUL[:-1] + "힣"))
    for name in (VOCABULARY, CONFIG):
        shutil.copy(other / name, published / name)
    with pytest.raises(UserError, match="is not the vocabulary of") as error:
        load_pretrained(published)
    one_line(error)


def test_a_vocabulary_of_another_size_is_refused(published: Path) -> None:
    other = Vocabulary.from_texts([HANGUL[:-1]])
    (published / VOCABULARY).write_text(other.to_json(), encoding="utf-8")
    with pytest.raises(UserError, match="has 29 entries, but the model 30") as error:
        load_pretrained(published)
    assert str(published / VOCABULARY) in one_line(error)


def test_weights_of_another_shape_are_refused(published: Path, tmp_path: Path, tiny: Build) -> None:
    publish(tmp_path / "other", pretrained(tiny(hidden_size=6)))
    shutil.copy(tmp_path / "other" / WEIGHTS, published)
    with pytest.raises(UserError, match=rf"{WEIGHTS} does not fit {CONFIG}") as error:
        load_pretrained(published)
    one_line(error)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (CONFIG, b""),
        (CONFIG, b"{"),
        (CONFIG, b"[]"),
        (CONFIG, b'{"format": "other/1"}'),
        (CONFIG, b'{"format": "sorigeul/1"}'),
        (CONFIG, b"\xff\xfe"),
        (VOCABULARY, b""),
        (VOCABULARY, b"{}"),
        (VOCABULARY, b"\xff\xfe"),
    ],
)
def test_damaged_companions_are_refused_by_name(published: Path, name: str, content: bytes) -> None:
    (published / name).write_bytes(content)
    with pytest.raises(UserError) as error:
        load_pretrained(published)
    assert one_line(error).startswith(str(published / name))


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("model", {"flavour": "new"}),
        ("features", {"flavour": "new"}),
        ("model", {"hidden_size": "wide"}),
    ],
)
def test_settings_of_another_version_are_refused(
    published: Path, part: str, change: dict[str, Any]
) -> None:
    config = json.loads((published / CONFIG).read_text(encoding="utf-8"))
    config[part].update(change)
    (published / CONFIG).write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(UserError, match="settings this version does not know") as error:
        load_pretrained(published)
    assert str(published / CONFIG) in one_line(error)


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no finished model") as error:
        load_pretrained(tmp_path)
    one_line(error)
    (tmp_path / "file").write_text("hello", encoding="utf-8")
    for place in (tmp_path / "file", tmp_path / "nowhere", "nowhere", "./run", "a/b/c"):
        with pytest.raises(UserError, match="neither a run folder nor a Hugging Face id") as error:
            load_pretrained(place)
        assert str(place) in one_line(error)


def test_an_id_that_the_hub_does_not_have_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="the Hugging Face hub gave no such model") as error:
        load_pretrained("sorigeul/no-such-model")
    assert one_line(error).startswith("sorigeul/no-such-model is no folder here")


# States


def state(step: int) -> dict[str, Any]:
    return {"position": {"step": step}, "model": {"weight": torch.full((3000,), float(step))}}


def names(run: Path) -> list[str]:
    return sorted(path.name for path in (run / CHECKPOINTS).iterdir())


def test_the_newest_two_states_are_kept(tmp_path: Path) -> None:
    assert checkpoints.latest_checkpoint(tmp_path) is None
    for step in (9, 10, 11, 100):
        path = checkpoints.save_checkpoint(tmp_path, step, state(step))
        assert path.exists()
    assert names(tmp_path) == ["step-000000011.pt", "step-000000100.pt"]
    found = checkpoints.latest_checkpoint(tmp_path)
    assert found is not None
    assert found["position"] == {"step": 100}
    assert torch.equal(found["model"]["weight"], torch.full((3000,), 100.0))


def test_the_state_of_a_step_can_be_written_again(tmp_path: Path) -> None:
    checkpoints.save_checkpoint(tmp_path, 1, state(1))
    checkpoints.save_checkpoint(tmp_path, 1, {**state(1), "between": True})
    assert names(tmp_path) == ["step-000000001.pt"]
    assert (checkpoints.latest_checkpoint(tmp_path) or {})["between"] is True


DAMAGES = {
    "half": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "other": lambda content: b"no state of any run\n" * 50,
    "zeros": lambda content: bytes(len(content)),
    "inside": lambda content: content[:6000] + b"\xff" * 64 + content[6064:],
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_state_gives_way_to_the_one_before(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    for step in (1, 2):
        newest = checkpoints.save_checkpoint(tmp_path, step, state(step))
    newest.write_bytes(DAMAGES[kind](newest.read_bytes()))
    with caplog.at_level(logging.WARNING, "sorigeul"):
        found = checkpoints.latest_checkpoint(tmp_path)
    assert found is not None
    assert found["position"] == {"step": 1}
    assert [f"{newest} is damaged" in record.getMessage() for record in caplog.records] == [True]
    assert "\n" not in caplog.records[0].getMessage()
    assert names(tmp_path) == ["step-000000001.pt", "step-000000002.damaged"]
    checkpoints.save_checkpoint(tmp_path, 2, state(2))
    assert (checkpoints.latest_checkpoint(tmp_path) or {})["position"] == {"step": 2}


def test_nothing_but_damaged_states_is_told(tmp_path: Path) -> None:
    for step in (1, 2):
        checkpoints.save_checkpoint(tmp_path, step, state(step)).write_bytes(b"lost")
    with pytest.raises(UserError, match=r"no checkpoint in .* can be read") as error:
        checkpoints.latest_checkpoint(tmp_path)
    assert str(tmp_path / CHECKPOINTS) in one_line(error)


def test_a_state_can_run_nothing(tmp_path: Path) -> None:
    checkpoints.save_checkpoint(tmp_path, 1, {"position": Trap(tmp_path / "sprung")})
    with pytest.raises(UserError, match="no checkpoint"):
        checkpoints.latest_checkpoint(tmp_path)
    assert not (tmp_path / "sprung").exists()


def test_the_state_of_a_step_is_read_by_name(tmp_path: Path) -> None:
    for step in (1, 2):
        checkpoints.save_checkpoint(tmp_path, step, state(step))
    assert checkpoints.checkpoint_of_step(tmp_path, 1)["position"] == {"step": 1}
    with pytest.raises(UserError, match="all processes of a run must see the same") as error:
        checkpoints.checkpoint_of_step(tmp_path, 3)
    assert "step-000000003.pt" in one_line(error)


def test_what_a_killed_process_left_behind_is_no_state(tmp_path: Path) -> None:
    checkpoints.save_checkpoint(tmp_path, 1, state(1))
    (tmp_path / CHECKPOINTS / ".step-000000002.x7.pt").write_bytes(b"half a st")
    assert (checkpoints.latest_checkpoint(tmp_path) or {})["position"] == {"step": 1}


def test_random_draws_go_on_where_they_were(tmp_path: Path) -> None:
    def draws() -> list[Any]:
        return [
            random.random(),
            random.gauss(),
            float(np.random.rand()),
            float(np.random.randn()),
            *torch.rand(3).tolist(),
            *torch.randn(3).tolist(),
        ]

    torch.manual_seed(5)
    undisturbed = torch.rand(3)
    torch.manual_seed(5)
    random_state()
    assert torch.equal(torch.rand(3), undisturbed)
    random.gauss()  # leaves its twin behind, which belongs to the state
    np.random.randn()
    checkpoints.save_checkpoint(tmp_path, 1, random_state())
    expected = draws()
    assert draws() != expected
    found = checkpoints.latest_checkpoint(tmp_path)
    assert found is not None
    restore_random_state(found)
    assert draws() == expected


# A full disk

FULL_DISK = """
    import resource
    import sys
    from pathlib import Path

    import torch

    from sorigeul import checkpoint
    from sorigeul.cli import main

    run, corpus = Path(sys.argv[1]), sys.argv[2]
    pretrained = checkpoint.load(run)
    with torch.no_grad():
        next(pretrained.model.parameters()).add_(1)
    state = {"weight": torch.zeros(100_000)}
    # No file may grow beyond this from here on: the write itself fails, as on a full disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, 16_384))
    for write in (
        lambda: checkpoint.publish(run, pretrained),
        lambda: checkpoint.save_state(run, 3, state),
    ):
        try:
            write()
        except OSError as error:
            print(error)
    options = "--hidden_size 64 --conv_channels 4 --listener_layer_size 2 --max_steps 1".split()
    sys.stdout.flush()
    main(["train", corpus, str(run / "new"), *options])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on resources there")
def test_a_failed_write_leaves_the_whole_file_before_it(
    tmp_path: Path, tiny: Build, corpus: Path
) -> None:
    run = tmp_path / "run"
    publish(run, pretrained(tiny(hidden_size=32)))
    for step in (1, 2):
        checkpoints.save_checkpoint(run, step, state(step))
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert len(before[run / WEIGHTS]) > 16_384
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FULL_DISK), run, corpus],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    after = {path for path in run.rglob("*") if path.is_file() and run / "new" not in path.parents}
    assert {path: path.read_bytes() for path in after} == before
    weights, newest = done.stdout.splitlines()[:2]
    assert weights.startswith(f"{run / WEIGHTS} could not be written")
    assert newest.startswith(f"{run / CHECKPOINTS / 'step-000000003.pt'} could not be written")
    # The command line says the same in one line, and leaves no half a file either.
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    *others, told = done.stderr.splitlines()
    assert not [line for line in others if line.startswith("error: ")]
    assert told.startswith("error: ")
    assert str(run / "new") in told
    assert not list((run / "new").rglob("*.pt")) + list((run / "new").rglob("*.safetensors"))
