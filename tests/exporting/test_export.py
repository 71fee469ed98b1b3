"""`export`: a folder that is whole, and recognises as the run it was made of does."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from helpers import tones
from helpers.paths import ROOT

from sorigeul import Recognizer
from sorigeul.base.errors import UserError
from sorigeul.exporting import export as export_module
from sorigeul.exporting.checks import Agreement, ExportError, check_export
from sorigeul.exporting.export import ExportOptions, export
from sorigeul.exporting.runtime import CHECKED
from sorigeul.lm.loading import load_language_model
from sorigeul.recognition.transcription import Transcription
from sorigeul.recognition.writers import write
from sorigeul.search.options import NO_LM, SearchRequest
from sorigeul.serving.models import load_recognizers
from sorigeul.sound.audio import SAMPLE_RATE
from sorigeul.sound.segments import SpeechSegment

QUICKSTART, DEMO = ROOT / "runs" / "quickstart", ROOT / "data" / "demo"


@pytest.fixture(scope="module")
def long_recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Several segments, with pauses."""
    silence = np.zeros(SAMPLE_RATE, np.float32)
    texts = ("가나다라나가", "라다나가다라", "가나나다라다")
    parts = [part for text in texts for part in (silence, tones.synthesize(text))]
    path = tmp_path_factory.mktemp("long") / "long.wav"
    soundfile.write(path, np.concatenate([*parts, silence]), SAMPLE_RATE)
    return path


def assert_same(found: Transcription, expected: Transcription) -> None:
    """The same in every format: text, times, confidences to their third decimal."""
    assert found.text == expected.text
    for own, other in zip(found.segments, expected.segments, strict=True):
        assert (own.text, own.finished, own.doubtful) == (
            other.text,
            other.finished,
            other.doubtful,
        )
        assert own.confidence == pytest.approx(other.confidence, abs=1e-3)
        np.testing.assert_allclose(own.alignment, other.alignment, rtol=0, atol=1e-3)
        times = [(word.word, word.start, word.end) for word in own.words]
        assert times == [(word.word, word.start, word.end) for word in other.words]


@pytest.mark.parametrize("beam", [1, 6])
def test_an_export_recognises_what_its_run_does(
    run: Path, exported: Path, audio_files: list[Path], long_recording: Path, beam: int
) -> None:
    of_run = Recognizer.from_pretrained(run, beam=beam, engine="torch")
    of_export = Recognizer.from_pretrained(exported, beam=beam)
    for path in (*audio_files[:6], long_recording):
        assert_same(of_export.transcribe(path), of_run.transcribe(path))
    assert len(of_export.transcribe(long_recording).segments) > 1


def test_a_language_model_of_the_export_is_used_without_a_word(
    run: Path, language_model: Path, tmp_path: Path, long_recording: Path
) -> None:
    export(str(run), tmp_path / "with", ExportOptions(lm=str(language_model)))
    of_export = Recognizer.from_pretrained(tmp_path / "with")
    (used,) = of_export.setup.language_models
    assert used.fingerprint == load_language_model(language_model).fingerprint
    request = SearchRequest(lm=(str(language_model),))
    of_run = Recognizer.from_pretrained(run, request=request, engine="torch")
    assert_same(of_export.transcribe(long_recording), of_run.transcribe(long_recording))


def test_a_language_model_of_the_export_is_left_out_on_request(
    run: Path, language_model: Path, tmp_path: Path, long_recording: Path
) -> None:
    export(str(run), tmp_path / "with", ExportOptions(lm=str(language_model)))
    without = SearchRequest(lm=(NO_LM,))
    of_export = Recognizer.from_pretrained(tmp_path / "with", request=without)
    of_run = Recognizer.from_pretrained(run, request=without, engine="torch")  # which has none
    assert not of_export.setup.language_models
    plain = Recognizer.from_pretrained(run, engine="torch").transcribe(long_recording)
    assert_same(of_export.transcribe(long_recording), plain)
    assert_same(of_run.transcribe(long_recording), plain)


def test_without_pytorch_a_command_transcribes_and_others_say_what_they_need(
    run: Path, language_model: Path, tmp_path: Path, long_recording: Path
) -> None:
    """In a process in which importing it fails; what it writes is what a run writes.

    The server and live recognition are imported, too.
    """
    folder = tmp_path / "exported"
    export(str(run), folder, ExportOptions(lm=str(language_model)))
    code = (
        "import sys\n"
        "class Blocked:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('torch', 'lhotse', 'av', 'onnx'):\n"
        "            raise ModuleNotFoundError(name + ' is blocked', name=name)\n"
        "sys.meta_path.insert(0, Blocked())\n"
        "from sorigeul.cli import main\n"
        "run, *command = sys.argv[1:]\n"
        "main(command)\n"
        "import sorigeul.serving.server\n"
        "import sorigeul.recognition.live\n"
        "try:\n"
        "    import torch\n"
        "except ImportError:\n"
        "    print('no torch')\n"
        "main(['info', run])\n"
    )
    arguments = ["transcribe", folder, long_recording, "--format", "vtt", "--word_times"]
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, (run, *arguments))],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONUTF8": "1"},
    )
    request = SearchRequest(lm=(str(language_model),))
    expected = Recognizer.from_pretrained(run, request=request, engine="torch").transcribe(
        long_recording
    )
    assert done.stdout == write("vtt", expected, word_times=True) + "no torch\n", done.stderr
    assert done.returncode == 2
    assert "error: this needs torch, which is not installed: pip install 'sorigeul[train]'" in (
        done.stderr
    )


def test_a_server_takes_an_export(exported: Path, run: Path, audio_files: list[Path]) -> None:
    recognizers = load_recognizers([str(exported)], "float32", SearchRequest())
    samples = soundfile.read(audio_files[0], dtype="float32")[0]
    speech = SpeechSegment(samples, 0, len(samples))
    (found,) = recognizers["exported"].recognize([speech])
    (expected,) = Recognizer.from_pretrained(run, engine="torch").recognize([speech])
    assert found.segment.text == expected.segment.text


def test_the_folder_is_there_whole_or_not_at_all(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ExportError("the exported speller differs from the model's by 0.5")

    monkeypatch.setattr(export_module, "check_export", fail)
    with pytest.raises(ExportError):
        export(str(run), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_replaced_only_if_it_is_an_export_and_one_says_so(
    run: Path, exported: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(exported, out)
    with pytest.raises(UserError, match="--overwrite"):
        export(str(run), out)
    (out / "notes.txt").touch()
    with pytest.raises(UserError, match=r"also has notes.txt, which no export wrote"):
        export(str(run), out, ExportOptions(overwrite=True))
    (out / "notes.txt").unlink()
    with (out / "README.md").open("a", encoding="utf-8") as card:
        card.write("Not for medical use.\n")
    export(str(run), out, ExportOptions(overwrite=True))
    edited = (out / "README.md").read_text(encoding="utf-8")
    assert edited.endswith("Not for medical use.\n")
    assert {path.name for path in out.iterdir()} == {path.name for path in exported.iterdir()}
    (out / "export.json").unlink()
    with pytest.raises(UserError, match="no export"):
        export(str(run), out, ExportOptions(overwrite=True))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_link_stays_and_leads_to_the_export(run: Path, tmp_path: Path) -> None:
    (tmp_path / "newest").symlink_to("first")
    export(str(run), tmp_path / "newest")
    assert (tmp_path / "newest").is_symlink()
    assert (tmp_path / "first" / "export.json").is_file()


def test_what_another_process_has_put_there_in_the_meantime_stays(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"

    def check_meanwhile(*arguments: Any) -> Agreement:
        out.mkdir()
        (out / "export.json").touch()
        return check_export(*arguments)

    monkeypatch.setattr(export_module, "check_export", check_meanwhile)
    with pytest.raises(UserError, match="--overwrite"):
        export(str(run), out)
    assert [path.name for path in out.iterdir()] == ["export.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_folder_that_one_is_in_is_refused(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="give a new folder in it"):
        export(str(run), Path())


def test_a_full_disk_names_the_export_and_leaves_nothing(run: Path, tmp_path: Path) -> None:
    script = "ulimit -f 20; exec $0 -m sorigeul export $1 $2"
    command = ["bash", "-c", script, sys.executable, str(run), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        f"error: {tmp_path / 'out'}: File too large; make room, and give the same command again\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_exported_or_used_is_said(
    run: Path, exported: Path, counting_run: Path, language_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(UserError, match="is an export: give the run"):
        export(str(exported), out)
    with pytest.raises(UserError, match="other characters"):
        export(str(counting_run), out, ExportOptions(lm=str(language_model)))
    with pytest.raises(UserError, match="nowhere"):
        export(str(run), out, ExportOptions(recordings=[tmp_path / "nowhere.wav"]))
    with pytest.raises(UserError, match="9 recordings to compare on: give 8 at most"):
        export(str(run), out, ExportOptions(recordings=[tmp_path / "nowhere.wav"] * 9))
    with pytest.raises(UserError, match="--rescore needs PyTorch"):
        Recognizer.from_pretrained(exported, request=SearchRequest(rescore=str(run)))
    request = SearchRequest(ensemble=(str(exported),))
    with pytest.raises(UserError, match="give the run that the export was made of"):
        Recognizer.from_pretrained(run, request=request, engine="torch")
    with pytest.raises(UserError, match="precision int8 is for runs"):
        Recognizer.from_pretrained(exported, precision="int8")
    assert not out.exists()


def test_an_ensemble_of_exports_is_that_of_their_runs(
    run: Path, exported: Path, audio_files: list[Path]
) -> None:
    ensembles = [
        Recognizer.from_pretrained(source, request=SearchRequest(ensemble=(str(other),)))
        for source, other in ((exported, exported), (exported, run), (run, exported))
    ]
    of_runs = Recognizer.from_pretrained(
        run, request=SearchRequest(ensemble=(str(run),)), engine="torch"
    )
    expected = of_runs.transcribe(audio_files[2])
    for recognizer in ensembles:
        assert_same(recognizer.transcribe(audio_files[2]), expected)


@pytest.mark.parametrize("name", ["listener.onnx", "export.json", "vocabulary.json"])
def test_a_damaged_export_is_refused_with_its_file(
    exported: Path, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(exported, folder)
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=name):
        Recognizer.from_pretrained(folder)


@pytest.mark.parametrize("name", CHECKED)
def test_one_wrong_bit_is_noticed(exported: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(exported, folder)
    content = bytearray((folder / name).read_bytes())
    content[-len(content) // 3] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name} is damaged, or of another export"):
        Recognizer.from_pretrained(folder)
    (folder / name).unlink()
    with pytest.raises(UserError, match=f"{name} is missing"):
        Recognizer.from_pretrained(folder)


def test_an_export_without_checksums_is_used(exported: Path, tmp_path: Path) -> None:
    folder = tmp_path / "older"
    shutil.copytree(exported, folder)
    record = json.loads((folder / "export.json").read_bytes())
    assert record.pop("checksums")
    (folder / "export.json").write_text(json.dumps(record), encoding="utf-8")
    Recognizer.from_pretrained(folder)


def test_a_card_says_what_it_is(exported: Path) -> None:
    card = (exported / "README.md").read_text(encoding="utf-8")
    assert "library_name: sorigeul" in card
    assert "# exported" in card
    assert "valid_crr" in card
    assert "- Python: 3." in card  # where it comes from


@pytest.mark.prove
def test_the_quick_start_writes_the_same_200_texts_without_pytorch(tmp_path: Path) -> None:
    """Greedy and in a beam; with eight bits, nearly the same."""
    if not (QUICKSTART / "model.safetensors").is_file() or not DEMO.is_dir():
        pytest.skip("needs runs/quickstart and data/demo: make quickstart")
    lines = (DEMO / "test.jsonl").read_text(encoding="utf-8").splitlines()[:200]
    assert len(lines) == 200
    sources = [json.loads(line)["recording"]["sources"][0]["source"] for line in lines]
    samples = [soundfile.read(ROOT / source, dtype="float32")[0] for source in sources]
    for int8, most_different in ((False, 0), (True, 4)):
        folder = tmp_path / str(int8)
        export(str(QUICKSTART), folder, ExportOptions(int8=int8))
        for beam in (1, 6):
            of_run = Recognizer.from_pretrained(QUICKSTART, beam=beam, engine="torch")
            of_export = Recognizer.from_pretrained(folder, beam=beam)
            pairs = zip(
                of_run.transcribe_samples(samples),
                of_export.transcribe_samples(samples),
                strict=True,
            )
            different = sum(one.text != other.text for one, other in pairs)
            assert different <= most_different
