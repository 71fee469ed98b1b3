"""`card` and `push`: what strangers read of a model, and that they can load it from the hub."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.commands import Command, Done, in_a_process
from helpers.hub_server import Hub, card_faults, hub_server
from huggingface_hub import ModelCard

from sorigeul import Recognizer
from sorigeul.base.errors import UserError
from sorigeul.exporting.export import export
from sorigeul.pretrained.loading import load_pretrained

NAME = "somebody/korean"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with hub_server(tmp_path_factory.mktemp("hub")) as hub:
        yield hub


@pytest.fixture(scope="module")
def exported(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of the run. Do not change it."""
    folder = tmp_path_factory.mktemp("export") / "exported"
    export(str(run), folder)
    return folder


@pytest.fixture
def own_run(run: Path, tmp_path: Path) -> Path:
    """A copy of a finished run, with all that is in its folder."""
    shutil.copytree(run, tmp_path / "run")
    return tmp_path / "run"


def on_the_hub(hub: Hub, *arguments: str | Path, **environment: str) -> Done:
    """A command in a process that knows no other hub."""
    return in_a_process(*arguments, **{**hub.environment(), **environment})


def test_what_was_pushed_is_loaded_by_its_name(
    hub: Hub, sorigeul: Command, own_run: Path, audio: Path, corpus: Path, tmp_path: Path
) -> None:
    """First a run, then an export of it in the same place; nothing else of their folders goes."""
    (own_run / "notes.txt").write_text("mine alone", encoding="utf-8")
    assert sorigeul("evaluate", own_run, corpus, "--json", own_run / "test.json").status == 0
    expected = sorigeul("transcribe", own_run, audio / "u09.wav").out
    pushed = on_the_hub(hub, "push", own_run, NAME)
    assert pushed.status == 0, pushed.err
    assert pushed.out.splitlines()[-1] == f"{hub.url}/{NAME}"
    files = hub.repositories[NAME].files
    model = {"config.json", "vocabulary.json", "model.safetensors", "README.md"}
    assert files.keys() - {".gitattributes"} == model
    assert not hub.repositories[NAME].private
    assert files["model.safetensors"] == (own_run / "model.safetensors").read_bytes()
    card = files["README.md"].decode()
    assert f"# {NAME}" in card
    assert "| strict/1 | beam 6" in card
    assert on_the_hub(hub, "transcribe", NAME, audio / "u09.wav").out == expected

    exported = tmp_path / "exported"
    assert sorigeul("export", own_run, exported, "--web").status == 0
    (exported / "notes.txt").write_text("mine alone", encoding="utf-8")
    pushed = on_the_hub(hub, "push", exported, NAME)
    assert pushed.status == 0, pushed.err
    graphs = {"listener.onnx", "speller.onnx", "export.json"}
    page = {name for name in files if name.startswith("page/")} | {"index.html"}
    assert files.keys() - {".gitattributes"} - page == (model - {"model.safetensors"}) | graphs
    assert {"index.html", "page/settings.json"} <= files.keys()
    assert on_the_hub(hub, "transcribe", NAME, audio / "u09.wav").out == expected
    refused = on_the_hub(hub, "info", NAME)
    assert (refused.status, "is an export" in refused.error()) == (2, True)


def test_in_python_a_recognizer_is_pushed_and_loaded(
    hub: Hub, sorigeul: Command, run: Path, audio: Path
) -> None:
    code = (
        "import sys\n"
        "from sorigeul import Recognizer\n"
        "run, name, recording = sys.argv[1:]\n"
        "print(Recognizer.from_pretrained(run).push_to_hub(name))\n"
        "print(Recognizer.from_pretrained(name).transcribe(recording).text)\n"
    )
    name, recording = "somebody/in.python", audio / "u10.wav"
    done = subprocess.run(
        [sys.executable, "-c", code, run, name, recording],
        env={**os.environ, **hub.environment()},
        capture_output=True,
        text=True,
        check=False,
    )
    text = sorigeul("transcribe", run, recording).out
    assert done.stdout == f"{hub.url}/{name}\n{text}", done.stderr


def test_a_model_in_memory_is_on_no_hub(run: Path) -> None:
    recognizer = Recognizer(load_pretrained(run))
    with pytest.raises(UserError, match="loaded from a folder"):
        recognizer.push_to_hub(NAME)


def test_a_card_that_was_asked_for_goes_as_it_is_and_that_of_an_export_gets_its_name(
    hub: Hub, sorigeul: Command, own_run: Path, exported: Path
) -> None:
    asked = ("--name", NAME, "--license", "apache-2.0", "--out", own_run / "README.md")
    assert sorigeul("card", own_run, *asked).status == 0
    assert on_the_hub(hub, "push", own_run, "somebody/licensed").status == 0
    card = hub.repositories["somebody/licensed"].files["README.md"]
    assert card == (own_run / "README.md").read_bytes()
    assert b"license: apache-2.0" in card
    assert on_the_hub(hub, "push", exported, "somebody/exported").status == 0
    card = hub.repositories["somebody/exported"].files["README.md"]
    assert b"# somebody/exported" in card
    assert b"# exported" in (exported / "README.md").read_bytes()


def test_a_card_of_the_folder_goes_as_it_is_and_a_private_model_is_private(
    hub: Hub, own_run: Path
) -> None:
    (own_run / "README.md").write_text("---\nlanguage: ko\n---\n# By hand\n", encoding="utf-8")
    assert on_the_hub(hub, "push", own_run, "somebody/secret", "--private").status == 0
    repository = hub.repositories["somebody/secret"]
    assert repository.private
    assert repository.files["README.md"] == (own_run / "README.md").read_bytes()
    repository.private = False
    refused = on_the_hub(hub, "push", own_run, "somebody/secret", "--private")
    assert refused.status == 2
    assert "is on the hub, and public" in refused.error()


def test_a_card_older_than_the_model_goes_with_a_word(hub: Hub, own_run: Path) -> None:
    card = own_run / "README.md"
    card.write_text("---\nlanguage: ko\n---\n# By hand\n", encoding="utf-8")
    assert "older" not in on_the_hub(hub, "push", own_run, "somebody/edited").err
    os.utime(card, (1e9, 1e9))
    pushed = on_the_hub(hub, "push", own_run, "somebody/edited")
    assert pushed.status == 0
    assert f"{card} is older than model.safetensors, and goes as it is" in pushed.err
    assert hub.repositories["somebody/edited"].files["README.md"] == card.read_bytes()


@pytest.mark.parametrize(
    ("repository", "environment", "reason"),
    [
        ("korean", {}, "'korean' is no name of a model on the hub: give OWNER/NAME"),
        ("somebody/no spaces", {}, "'somebody/no spaces' is no name of a model on the hub: Repo"),
        (NAME, {"HF_TOKEN": ""}, "log in with 'hf auth login', or set HF_TOKEN"),
        (NAME, {"HF_TOKEN": "토큰"}, "log in with 'hf auth login', or set HF_TOKEN"),
        (NAME, {"HF_TOKEN": "hf_of_nobody"}, "; choose a name that is yours, or log in with"),
        ("other/korean", {}, "; choose a name that is yours, or log in with"),
        (NAME, {"HF_ENDPOINT": "http://127.0.0.1:9"}, "uploaded to http://127.0.0.1:9: "),
        (NAME, {"HF_HUB_OFFLINE": "1"}, "could not be uploaded to http://127.0.0.1:"),
    ],
    ids=[
        "no owner",
        "no name",
        "no token",
        "no ASCII",
        "wrong token",
        "other owner",
        "no network",
        "offline",
    ],
)
def test_what_the_hub_would_not_take_is_one_line(
    hub: Hub, exported: Path, repository: str, environment: dict[str, str], reason: str
) -> None:
    before = {name: dict(one.files) for name, one in hub.repositories.items()}
    refused = on_the_hub(hub, "push", exported, repository, **environment)
    assert refused.status == 2, refused.err
    assert reason in refused.error()
    assert {name: dict(one.files) for name, one in hub.repositories.items()} == before


def test_a_card_that_the_hub_refuses_is_said(hub: Hub, own_run: Path) -> None:
    card = "---\nlicense: other\n---\n# By hand\n"
    (own_run / "README.md").write_text(card, encoding="utf-8")
    refused = on_the_hub(hub, "push", own_run, "somebody/refused")
    assert refused.status == 2
    assert "Invalid metadata in README.md" in refused.error()


def test_no_model_and_a_damaged_one_stay_here(
    exported: Path, own_run: Path, sorigeul: Command, tmp_path: Path
) -> None:
    assert "holds no finished model" in sorigeul("push", tmp_path, NAME).error()
    damaged = tmp_path / "exported"
    shutil.copytree(exported, damaged)
    with (damaged / "speller.onnx").open("ab") as file:
        file.write(b"\0")
    assert "is damaged (speller.onnx)" in sorigeul("push", damaged, NAME).error()
    (own_run / "model.safetensors").write_bytes(b"no weights")
    assert "is damaged" in sorigeul("push", own_run, NAME).error()


def test_a_card_says_what_is_recorded(
    sorigeul: Command, own_run: Path, corpus: Path, tmp_path: Path
) -> None:
    for beam in ("1", "4"):
        path = own_run / f"beam{beam}.json"
        assert sorigeul("evaluate", own_run, corpus, "--beam", beam, "--json", path).status == 0
    found = sorigeul("card", own_run, "--name", NAME, "--license", "CC BY 4.0")
    assert (found.status, found.err) == (0, "")
    assert card_faults(found.out) == []
    card = ModelCard(found.out)
    assert card.data.license == "cc-by-4.0"
    assert card.data.model_name == "korean"
    results = json.loads((own_run / "beam4.json").read_bytes())
    measured = {
        one.metric_type: one.metric_value
        for one in card.data.eval_results
        if "beam 4" in one.metric_name
    }
    assert measured == {name: round(results[name], 2) for name in ("cer", "wer", "crr")}
    low, high = results["intervals"]["cer"]
    assert f"{results['cer']:.2f} ({low:.2f} to {high:.2f})" in card.text
    assert "| manifests | 40 | 0.0" in card.text  # the corpus; nobody knows its licence
    assert "| unknown |" in card.text
    assert "- command: " not in card.text  # it was not begun by one
    assert "- seed: 0" in card.text


def test_a_card_has_no_html_and_no_times_that_cannot_be(sorigeul: Command, own_run: Path) -> None:
    record = json.loads((own_run / "run.json").read_bytes())
    record["training_seconds"] = -5.0
    (own_run / "run.json").write_text(json.dumps(record), encoding="utf-8")
    found = sorigeul("card", own_run, "--name", "<b>mine</b>", "--license", "<script>")
    assert found.status == 0
    page = ModelCard(found.out).text
    assert "# &lt;b&gt;mine&lt;/b&gt;" in page
    assert "Of this model: &lt;script&gt;." in page
    assert "time of training" not in page


def test_figures_of_another_model_are_no_figures_of_this_one(
    sorigeul: Command, own_run: Path, counting_run: Path, corpus: Path, tmp_path: Path
) -> None:
    other, own = tmp_path / "other.json", tmp_path / "own.json"
    sorigeul("evaluate", counting_run, corpus, "--json", other)
    sorigeul("evaluate", own_run, corpus, "--json", own)
    found = sorigeul("card", own_run, "--evaluation", other)
    assert found.status == 0
    assert found.err == f"warning: {other} is of another model, or of an earlier epoch: left out\n"
    assert "95 % bootstrap" not in found.out
    assert "95 % bootstrap" in sorigeul("card", own_run, "--evaluation", own).out
    content = json.loads(own.read_bytes())
    del content["model"]
    (own_run / "old.json").write_text(json.dumps(content), encoding="utf-8")
    assert "does not say which model it is of" in sorigeul("card", own_run).err
    refused = sorigeul("card", own_run, "--evaluation", own_run / "config.json")
    assert refused.status == 2
    assert "is no evaluation" in refused.error()


def test_a_corpus_that_is_known_has_a_name_and_a_licence(
    sorigeul: Command, own_run: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    assert sorigeul("prepare", "demo", data, "--utterances", "100").status == 0
    merged = tmp_path / "both"
    assert sorigeul("data", "filter", data, merged, "--min_duration", "0.1").status == 0
    card = sorigeul("card", own_run, "--data", merged).out
    assert "| the demo corpus of sorigeul | 85 |" in card
    assert "synthesised by eSpeak NG |" in card
    assert "It has heard synthesised voices only" in card
    refused = sorigeul("card", own_run, "--data", tmp_path)
    assert refused.status == 2
    assert "has no report" in refused.error()


def test_a_card_is_written_where_nobody_wrote(
    sorigeul: Command, own_run: Path, tmp_path: Path
) -> None:
    path = own_run / "README.md"
    done = sorigeul("card", own_run, "--out", path)
    assert (done.status, done.out) == (0, "")
    path.write_text("by hand", encoding="utf-8")
    assert "--overwrite" in sorigeul("card", own_run, "--out", path).error()
    assert path.read_text(encoding="utf-8") == "by hand"
    assert sorigeul("card", own_run, "--out", path, "--overwrite").status == 0
    assert "# run\n" in path.read_text(encoding="utf-8")
    for name in ("config.json", "model.safetensors"):
        before = (own_run / name).read_bytes()
        refused = sorigeul("card", own_run, "--out", own_run / name, "--overwrite")
        assert f"{name}, which this command reads, and would be" in refused.error()
        assert (own_run / name).read_bytes() == before


def test_the_card_of_an_export_has_the_figures_of_its_run(
    sorigeul: Command, own_run: Path, corpus: Path, tmp_path: Path
) -> None:
    assert sorigeul("evaluate", own_run, corpus, "--json", own_run / "test.json").status == 0
    exported = tmp_path / "exported"
    assert sorigeul("export", own_run, exported, "--int8").status == 0
    card = ModelCard.load(exported / "README.md")
    assert "Measured with the run that it was exported from" in card.text
    assert "| manifests | 40 |" in card.text
    assert card.data.eval_results is None  # not of these eight bits
    assert sorigeul("evaluate", exported, corpus, "--json", exported / "test.json").status == 0
    again = ModelCard(sorigeul("card", exported, "--license", "Our Own 1.0").out)
    assert len(again.data.eval_results) == 3
    assert "; int8 |" in again.text
    assert (again.data.license, again.data.license_name) == ("other", "our-own-1.0")
    assert card_faults(str(again)) == []


@pytest.mark.parametrize(
    "origin",
    [
        1,
        {"record": [1]},
        {"record": {"earlier": 1}},
        {"record": {"corpora": [{"name": "a"}]}},
        {"evaluations": [{"policy": "strict/1"}]},
        {"results": 1},
    ],
)
def test_a_damaged_record_of_an_export_is_one_line(
    sorigeul: Command, exported: Path, tmp_path: Path, origin: object
) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(exported, folder)
    record = json.loads((folder / "export.json").read_bytes())
    (folder / "export.json").write_text(json.dumps({**record, "origin": origin}), encoding="utf-8")
    refused = sorigeul("card", folder)
    assert refused.status == 2
    assert refused.error().startswith(f"{folder / 'export.json'} is damaged")
