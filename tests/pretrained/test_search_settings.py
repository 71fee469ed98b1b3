"""search.json: what was tuned comes back for the same language models, and damage is an error."""

import json
from pathlib import Path

import pytest

from sorigeul.base.errors import UserError
from sorigeul.pretrained.search_settings import SearchSettings, TunedSearch
from sorigeul.search.options import BEAM_WIDTH, SearchOptions

ALONE = TunedSearch(SearchOptions(ctc_weight=0.5, length_bonus=1.0), results={"crr": 57.1})
WITH_LM = TunedSearch(
    SearchOptions(32, lm_weights=(0.4,), length_bonus=1.3), ("f1",), {"words": {"bias": 0.1}}
)


def test_entries_are_found_by_their_language_models(tmp_path: Path) -> None:
    assert SearchSettings.read(tmp_path).find(()) is None
    SearchSettings().with_entry(ALONE).with_entry(WITH_LM).write(tmp_path)
    settings = SearchSettings.read(tmp_path)
    assert settings.find(()) == ALONE
    assert settings.find(["f1"]) == WITH_LM
    assert settings.find(["f2"]) is None
    assert settings.find(["f1", "f1"]) is None


def test_a_new_entry_replaces_the_old_one(tmp_path: Path) -> None:
    newer = TunedSearch(SearchOptions(ctc_weight=0.6))
    SearchSettings().with_entry(ALONE).with_entry(WITH_LM).with_entry(newer).write(tmp_path)
    settings = SearchSettings.read(tmp_path)
    assert settings.find(()) == newer
    assert settings.find(["f1"]) == WITH_LM


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "{}",
        "[]",
        '{"format": "sorigeul-search/2", "entries": []}',
        '{"format": "sorigeul-search/1", "entries": [{}]}',
        '{"format": "sorigeul-search/1", "entries": {"a": 1}}',
        '{"format": "sorigeul-search/1", "entries": [{"options": {"lm_weights": [], "beam": "6"}, '
        '"language_models": [], "calibration": {}, "results": {}}]}',
        '{"format": "sorigeul-search/1", "entries": [{"options": {"length_bonus": NaN}, '
        '"language_models": [], "calibration": {}, "results": {}}]}',
        "[" * 10**5,
        '{"format": "sorigeul-search/1", "entries": [{"options": {"lm_weights": [0.1]}, '
        '"language_models": [], "calibration": {}, "results": {}}]}',
        '{"format": "sorigeul-search/1", "entries": [{"options": {"lm_weights": [], "beam": -1}, '
        '"language_models": [], "calibration": {}, "results": {}}]}',
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    (tmp_path / "search.json").write_text(damage, encoding="utf-8")
    with pytest.raises(UserError, match=r"search\.json is damaged .*sorigeul tune"):
        SearchSettings.read(tmp_path)


def test_the_wish_for_several_texts_is_not_kept(tmp_path: Path) -> None:
    SearchSettings().with_entry(TunedSearch(SearchOptions(nbest=7))).write(tmp_path)
    content = json.loads((tmp_path / "search.json").read_text(encoding="utf-8"))
    assert "nbest" not in content["entries"][0]["options"]


def test_weights_of_an_earlier_version_keep_the_beam_that_they_were_found_with(
    tmp_path: Path,
) -> None:
    old = SearchOptions(beam=0, lm_weights=(0.3,))
    SearchSettings().with_entry(TunedSearch(old, ("news",))).with_entry(ALONE).write(tmp_path)
    settings = SearchSettings.read(tmp_path)
    found = settings.find(("news",))
    assert found is not None
    assert found.options.beam == BEAM_WIDTH
    assert settings.find(()) == ALONE
