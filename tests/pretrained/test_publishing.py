"""Published models: three files without pickle, replaced as a whole or not at all."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.full_disk import limited_file_size
from helpers.pretrained import pretrained

from sorigeul import ListenAttendSpell
from sorigeul.base.errors import UserError
from sorigeul.pretrained.description import CONFIG, VOCABULARY, WEIGHTS
from sorigeul.pretrained.loading import load_pretrained
from sorigeul.pretrained.publishing import publish

Tiny = Callable[..., ListenAttendSpell]


def test_a_published_model_is_three_files_that_need_no_pickle(published: Path) -> None:
    assert {path.name for path in published.iterdir()} == {WEIGHTS, CONFIG, VOCABULARY}
    json.loads((published / CONFIG).read_text(encoding="utf-8"))
    json.loads((published / VOCABULARY).read_text(encoding="utf-8"))
    content = (published / WEIGHTS).read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert json.loads(header.pop("__metadata__")["sorigeul"])["valid_crr"] == "12.34"
    keys = {key for tensor in header.values() for key in tensor}
    assert keys == {"dtype", "shape", "data_offsets"}


def test_a_newer_model_replaces_the_older(published: Path, tiny: Tiny) -> None:
    model = tiny(hidden_size=6)
    publish(published, replace(pretrained(model), results={"valid_crr": "56.78"}))
    loaded = load_pretrained(published)
    assert loaded.model.config.hidden_size == 6
    assert loaded.results == {"valid_crr": "56.78"}


def test_equal_models_have_equal_files(tmp_path: Path, tiny: Tiny) -> None:
    results = {name: f"{number}" for number, name in enumerate("abcdefghijkl")}
    written = []
    for folder in (tmp_path / "one", tmp_path / "other"):
        publish(folder, replace(pretrained(tiny()), results=results))
        written.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert written[0] == written[1]
    assert load_pretrained(tmp_path / "one").results == results


def test_weights_that_are_not_finite_are_not_published(published: Path, tiny: Tiny) -> None:
    before = {path: path.read_bytes() for path in published.iterdir()}
    diverged = tiny()
    with torch.no_grad():
        next(iter(diverged.parameters()))[0] = torch.nan
    with pytest.raises(UserError, match=r"is not written, since .* not finite"):
        publish(published, pretrained(diverged))
    assert {path: path.read_bytes() for path in published.iterdir()} == before


@pytest.mark.skipif(sys.platform == "win32", reason="no resource limits there")
def test_a_full_disk_leaves_the_model_that_was_published_before(tmp_path: Path, tiny: Tiny) -> None:
    publish(tmp_path, pretrained(tiny(hidden_size=32)))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(before[tmp_path / WEIGHTS]) > 16_384
    changed = load_pretrained(tmp_path)
    with torch.no_grad():
        next(changed.model.parameters()).add_(1)
    with limited_file_size(16_384), pytest.raises(OSError, match="could not be written") as error:
        publish(tmp_path, changed)
    assert str(error.value).startswith(f"{tmp_path / WEIGHTS} could not be written")
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
