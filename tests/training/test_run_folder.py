"""The folder of a run: nobody else's files are overwritten, and no run begins again unasked."""

from pathlib import Path

import pytest
from helpers.trees import file_contents

from sorigeul.base.errors import UserError
from sorigeul.base.html_page import render_page
from sorigeul.training.language_model_settings import LanguageModelSettings
from sorigeul.training.run_folder import claim_folder
from sorigeul.training.settings import Settings

CONTENTS = {
    "config.yaml": Settings().to_yaml(),
    "run.json": '{"training_seconds": 0.0}',
    "metrics.jsonl": '{"kind": "step", "step": 2}\n{"kind": "epoch", "epoch": 0, "step": 3}\n',
}


def claim(folder: Path, restart: bool = False) -> None:
    claim_folder(folder, Settings, restart)


def write(folder: Path, *names: str) -> dict[str, bytes]:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(CONTENTS.get(name, name), encoding="utf-8")
    return file_contents(folder)


def refusal(folder: Path) -> str:
    before = file_contents(folder)
    with pytest.raises(UserError) as error:
        claim(folder)
    assert file_contents(folder) == before
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_new_folder_and_one_with_other_files_are_free(tmp_path: Path) -> None:
    claim(tmp_path)
    write(tmp_path, "log", "notes/today.md")
    claim(tmp_path)


def test_a_run_goes_on_or_begins_again_if_it_has_saved_nothing(tmp_path: Path) -> None:
    write(tmp_path, "config.yaml", "run.json", "metrics.jsonl")
    claim(tmp_path)
    write(tmp_path, "model.safetensors")  # of the first epoch, whose checkpoint was to come next
    claim(tmp_path)
    for name, content in (
        ("run.json", '{"training_seconds": 3.0}'),
        ("metrics.jsonl", 2 * CONTENTS["metrics.jsonl"]),
    ):
        (tmp_path / name).write_text(content)
        assert "give --restart" in refusal(tmp_path)
        write(tmp_path, name)
    write(tmp_path, "checkpoints/step-000000003.pt")
    claim(tmp_path)


@pytest.mark.parametrize(
    "name", ["results.md", "run.json", "plots/a.png", "model.safetensors", "config.json"]
)
def test_the_files_of_others_are_not_overwritten(tmp_path: Path, name: str) -> None:
    write(tmp_path, name)
    assert f"holds {name.split('/')[0]}, but no training" in refusal(tmp_path)


def test_the_settings_of_others_are_not_overwritten(tmp_path: Path) -> None:
    for text in ("services:\n  web: nginx\n", LanguageModelSettings().to_yaml()):
        (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
        assert "is no setting" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["checkpoints/step-000000003.damaged", "model.safetensors"])
def test_a_run_without_checkpoints_begins_again_only_at_the_users_word(
    tmp_path: Path, name: str
) -> None:
    before = write(tmp_path, "config.yaml", "metrics.jsonl", "events.out.tfevents.1", "log", name)
    assert "give --restart to begin again from step 0" in refusal(tmp_path)
    claim(tmp_path, restart=True)
    moved = {(n if n == "log" else f"earlier-1/{n}"): data for n, data in before.items()}
    assert file_contents(tmp_path) == moved
    write(tmp_path, "config.yaml", name)
    claim(tmp_path, restart=True)
    assert (tmp_path / "earlier-2" / name).is_file()


def test_an_evaluation_does_not_stay_beside_a_new_model(tmp_path: Path) -> None:
    results = {
        "test.json": b'{\n  "crr": 97.7\n}\n',
        "page.html": render_page("sorigeul.evaluation.reporting", {}).encode(),
        "words.png": b"\x89PNG\r\n\x1a\n Software\0Matplotlib",
    }
    mine = {"notes.json": b'{"mine": 1}', "photo.png": b"\x89PNG\r\n\x1a\n"}
    write(tmp_path, "config.yaml")
    for name, data in (results | mine).items():
        (tmp_path / name).write_bytes(data)
    claim(tmp_path, restart=True)
    settings = {"earlier-1/config.yaml": CONTENTS["config.yaml"].encode()}
    moved = {f"earlier-1/{name}": data for name, data in results.items()}
    assert file_contents(tmp_path) == moved | mine | settings


def test_a_folder_named_like_a_checkpoint_is_no_training(tmp_path: Path) -> None:
    write(tmp_path, "config.yaml", "checkpoints/step-000000003.pt/x")
    claim(tmp_path)
