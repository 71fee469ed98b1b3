"""`sorigeul evaluate`: results of runs and of files, what is printed, and what is refused."""

import json
import random
from pathlib import Path

import pytest
from helpers import tones
from helpers.commands import Command
from helpers.processes import Forked

RESULT_KEYS = {
    "crr",
    "cer",
    "cer_no_space",
    "wer",
    "swer",
    "jer",
    "jer_initial",
    "jer_medial",
    "jer_final",
    "substitutions",
    "insertions",
    "deletions",
    "utterances",
    "reference_characters",
    "normalizer",
    "intervals",
    "policy",
    "policies",
}
"""Keys of `evaluate --json` that users rely on."""
REFERENCES = [
    "나는 밥을 먹었다",
    "오늘 70% 올랐다",
    "그래서, 학교에 갔다",
    "A4 용지 세 장",
    "정말 좋은 날이다",
] * 12


def write_texts(folder: Path, name: str, error_rate: float) -> Path:
    """A TSV of the references, of whose characters some are replaced."""
    generator = random.Random(name)
    lines = []
    for number, text in enumerate(REFERENCES):
        heard = [
            "예" if character != " " and generator.random() < error_rate else character
            for character in text
        ]
        lines.append(f"u{number:02}\t{''.join(heard)}\n")
    (folder / name).write_text("".join(lines), encoding="utf-8")
    return folder / name


# Runs


def test_unreadable_recordings_count_as_errors_the_status_says_so_and_only_json_is_printed(
    run: Path, tmp_path: Path
) -> None:
    folder = tones.manifests(tmp_path, tones.texts(6), ["test"] * 6)
    (tmp_path / "audio" / "u02.wav").unlink()
    done = Forked(tmp_path / "process", "evaluate", run, folder, "--json", "-").done()
    assert done.status == 2
    results = json.loads(done.out)
    assert results.keys() >= RESULT_KEYS | {"rtf", "loss", "ctc_crr", "diagonality"}
    assert results["utterances"] == 6
    assert results["reference_characters"] == len("".join(tones.texts(6)))
    assert results["normalizer"] == "plain/2"
    assert list(results["failures"]) == ["u02.wav"]
    assert results["cer_no_space"] >= 100 * len(tones.texts(6)[2]) / results["reference_characters"]
    assert 0 < results["rtf"] < 10
    warning, error = done.err.splitlines()
    assert warning.startswith("warning: u02.wav counts as recognised as nothing: ")
    assert error == (
        "error: 1 of 6 recordings could not be read and count as recognised as nothing: see to "
        "them, or prepare the corpus again; the JSON names them all"
    )


def test_where_nothing_can_be_read_a_few_are_named_and_everything_is_written(
    sorigeul: Command, run: Path, tmp_path: Path
) -> None:
    folder = tones.manifests(tmp_path, tones.texts(7), ["test"] * 7)
    for path in (tmp_path / "audio").iterdir():
        path.unlink()
    done = sorigeul("evaluate", run, folder, "--json", tmp_path / "e.json", "--worst", 0)
    assert done.status == 2
    assert done.error().startswith("7 of 7 recordings could not be read")
    assert done.err.count("counts as recognised as nothing: ") == 5
    assert "\nutterances: 7\n" in done.out
    results = json.loads((tmp_path / "e.json").read_text(encoding="utf-8"))
    assert (results["crr"], len(results["failures"])) == (0, 7)


def test_the_results_and_the_worst_utterances_are_printed(
    sorigeul: Command, run: Path, corpus: Path, tmp_path: Path
) -> None:
    done = sorigeul("evaluate", run, corpus, "--worst", "2", "--json", tmp_path / "a" / "b.json")
    assert (done.status, done.err) == (0, "")
    results = json.loads((tmp_path / "a" / "b.json").read_text(encoding="utf-8"))
    table = done.out.split("\n\n")[0]
    for name, label in {"crr": "CRR", "cer": "CER", "wer": "WER", "jer": "JER (letters)"}.items():
        cells = [[cell.strip() for cell in line.split("|")] for line in table.splitlines()]
        (value,) = [row[2] for row in cells if row[1] == label]
        low, high = results["intervals"][name]
        assert value == f"{results[name]:.2f} ({low:.2f} to {high:.2f})"
    for name in ("substitutions", "utterances", "normalizer", "rtf", "loss"):
        value = results[name]
        shown = f"{value:.2f}" if isinstance(value, float) else str(value)
        assert f"\n{name}: {shown}\n" in done.out
    assert done.out.count("\nREF: ") == done.out.count("\nHYP: ") == 2


def test_a_split_or_a_manifest_is_evaluated(sorigeul: Command, run: Path, corpus: Path) -> None:
    by_split = sorigeul("evaluate", run, corpus, "--split", "dev", "--json", "-")
    by_file = sorigeul("evaluate", run, "--json", "-", corpus / "dev.jsonl")
    first, second = (json.loads(done.out) for done in (by_split, by_file))
    assert first | {"rtf": 0} == second | {"rtf": 0}
    done = sorigeul("evaluate", run, corpus, "--split", "eval_clean")
    assert done.status == 2
    assert "found: dev, test, train" in done.error()
    done = sorigeul("evaluate", run, corpus / "dev.jsonl", "--split", "train")
    assert done.status == 2
    assert "--split train chooses from a folder of manifests" in done.error()
    done = sorigeul("evaluate", corpus, run)
    assert done.status == 2
    assert f"{corpus} holds no finished model" in done.error()


@pytest.mark.parametrize("line", ["{}", "5", "[]", '{"supervisions": []}'])
def test_a_damaged_line_of_a_manifest_is_named(
    sorigeul: Command, run: Path, corpus: Path, tmp_path: Path, line: str
) -> None:
    lines = (corpus / "test.jsonl").read_text(encoding="utf-8").splitlines()
    manifest = tmp_path / "test.jsonl"
    manifest.write_text("\n".join([lines[0], line, *lines[2:], ""]), encoding="utf-8")
    done = sorigeul("evaluate", run, tmp_path)
    assert done.status == 2
    assert done.error() == f"{manifest}:2 is no cut with text: make or copy the manifest again"


def test_another_normaliser_is_warned_of(
    sorigeul: Command, run: Path, corpus: Path, tmp_path: Path
) -> None:
    manifest = (corpus / "dev.jsonl").read_text(encoding="utf-8")
    (tmp_path / "dev.jsonl").write_text(manifest.replace("plain/2", "other/3"), encoding="utf-8")
    done = sorigeul("evaluate", run, tmp_path / "dev.jsonl", "--json", "-")
    assert json.loads(done.out)["normalizer"] == "other/3"
    assert done.err == "warning: trained on plain/2 text, evaluated on other/3 text\n"


def test_degradations_get_a_table(
    sorigeul: Command, run: Path, corpus: Path, tmp_path: Path
) -> None:
    command = ("evaluate", run, corpus, "--worst", 0, "--json", tmp_path / "e.json")
    done = sorigeul(*command, "--degrade", "level:-20", "silence:2+white:20", "--degrade=telephone")
    assert done.status == 0
    table = done.out[done.out.index("| degradation") :].strip().splitlines()
    names = [line.split("|")[1].strip() for line in table]
    assert names == [
        "degradation",
        "-" * len("silence:2+white:20"),
        "as recorded",
        "level:-20",
        "silence:2+white:20",
        "telephone",
    ]
    degraded = json.loads((tmp_path / "e.json").read_text())["degraded"]
    assert degraded["level:-20"].keys() == {"crr", "cer", "wer"}
    assert sorigeul(*command, "--degrade", "fog:3").status == 2


def test_how_far_confidences_are_off_is_said_and_drawn(
    sorigeul: Command, run: Path, corpus: Path, tmp_path: Path
) -> None:
    """The run is right about nearly all words and sure of them."""
    plot, file = tmp_path / "plots" / "reliability.png", tmp_path / "e.json"
    done = sorigeul("evaluate", run, corpus, "--json", file, "--reliability", plot)
    assert done.status == 0
    results = json.loads(file.read_text(encoding="utf-8"))
    # One word in each utterance; nothing is further from the truth than 100 %.
    assert 0 < results["calibration_error"] < 100
    assert f"\ncalibration_error: {results['calibration_error']:.2f}\n" in done.out
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert plot.stat().st_size > 5000


def test_two_runs_are_compared(
    sorigeul: Command, run: Path, copied_run: Path, corpus: Path, tmp_path: Path
) -> None:
    """A run and its copy are equal."""
    command = ("evaluate", run, copied_run, corpus, "--split", "dev", "--worst", 1)
    done = sorigeul(*command, "--json", tmp_path / "both.json")
    assert done.status == 0
    results = json.loads((tmp_path / "both.json").read_text(encoding="utf-8"))
    assert [system["system"] for system in results["systems"]] == [str(run), str(copied_run)]
    assert all(system.keys() >= RESULT_KEYS for system in results["systems"])
    comparison = results["comparison"]
    assert comparison["crr"]["difference"] == comparison["wer"]["difference"] == 0
    assert comparison["crr"]["p"] > 0.99
    for sentence in comparison["summary"]:
        assert sentence in done.out
    assert f"CRR: {copied_run} and {run} are equal, which can be chance" in done.out
    assert done.out.count("\nREF: ") == 2


def test_a_second_run_that_cannot_be_used_is_said_before_anything_is_recognised(
    sorigeul: Command, run: Path, tmp_path: Path
) -> None:
    folder = tones.manifests(tmp_path, tones.texts(3), ["test"] * 3)
    (tmp_path / "audio" / "u02.wav").unlink()  # whoever recognises the corpus warns of it
    done = sorigeul("evaluate", run, tmp_path / "misspelt", folder)
    assert done.status == 2
    assert done.err.count("\n") == 1
    assert "misspelt" in done.error()


# Files


def test_files_are_scored_against_a_prepared_corpus(
    sorigeul: Command, run: Path, corpus: Path, tmp_path: Path
) -> None:
    """What `transcribe --manifest` writes has the score that `evaluate` gives the run."""
    out = tmp_path / "texts.jsonl"
    done = sorigeul("transcribe", run, "--manifest", corpus, "--split", "dev", "--out", out)
    assert done.status == 0
    scored = sorigeul("evaluate", "--hyp", out, "--ref", corpus, "--split", "dev", "--json", "-")
    evaluated = sorigeul("evaluate", run, corpus, "--split", "dev", "--json", "-")
    texts, runs = json.loads(scored.out), json.loads(evaluated.out)
    assert texts.keys() >= RESULT_KEYS
    assert {name: texts[name] for name in RESULT_KEYS} == {name: runs[name] for name in RESULT_KEYS}
    assert (texts["missing"], texts["without_reference"]) == ([], [])


def test_two_files_are_compared(sorigeul: Command, tmp_path: Path) -> None:
    reference, worse, better = (
        write_texts(tmp_path, name, rate)
        for name, rate in {"ref.tsv": 0.0, "worse.tsv": 0.3, "better.tsv": 0.05}.items()
    )
    files = ("--hyp", worse, "--hyp", better, "--ref", reference)
    done = sorigeul("evaluate", *files, "--worst", 0)
    assert (done.status, done.err) == (0, "")
    assert f"CRR: {better} is better than {worse} by" in done.out
    assert f"WER: {better} is better than {worse} by" in done.out
    assert f"segments with word errors: {better} has" in done.out
    assert done.out.count("hardly chance (p ") == 3
    results = json.loads(sorigeul("evaluate", *files, "--json", "-").out)
    assert results["comparison"]["matched_pairs"]["p"] < 0.001


def test_a_policy_is_chosen_by_name(sorigeul: Command, tmp_path: Path) -> None:
    reference = write_texts(tmp_path, "ref.tsv", 0.0)
    text = reference.read_text(encoding="utf-8").replace("70%", "칠십 프로").replace(",", "")
    (tmp_path / "hyp.tsv").write_text(text, encoding="utf-8")
    command = ("evaluate", "--hyp", tmp_path / "hyp.tsv", "--ref", reference, "--json", "-")
    results = json.loads(sorigeul(*command).out)
    crr = {name: scores["crr"] for name, scores in results["policies"].items()}
    assert results["crr"] == crr["strict/1"] < crr["spacing-free/1"] < crr["readings/3"] == 100
    for options in (("--policy", "readings"), ("--numerals", "equal")):
        assert json.loads(sorigeul(*command, *options).out)["crr"] == 100
    chosen = json.loads(sorigeul(*command, "--policy", "spacing-free/1").out)
    assert (chosen["policy"], chosen["crr"]) == ("spacing-free/1", crr["spacing-free/1"])
    printed = sorigeul(*command[:-2], "--policy", "spacing-free", "--worst", 0).out
    assert [cell.strip() for cell in printed.splitlines()[0].split("|")[2:4]] == [
        "spacing-free/1",
        "strict/1",
    ]


def test_missing_texts_count_as_nothing_and_are_named(sorigeul: Command, tmp_path: Path) -> None:
    reference = write_texts(tmp_path, "ref.tsv", 0.0)
    lines = reference.read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "hyp.tsv").write_text("".join([*lines[1:], "x\t가\n"]), encoding="utf-8")
    files = ("--hyp", tmp_path / "hyp.tsv", "--ref", reference)
    done = Forked(tmp_path / "process", "evaluate", *files, "--json", "-").done()
    results = json.loads(done.out)
    assert (results["missing"], results["without_reference"]) == (["u00"], ["x"])
    assert results["deletions"] == len(REFERENCES[0].replace(" ", ""))
    assert f"count as recognised as nothing: no line in {tmp_path / 'hyp.tsv'}: 1 (u00)" in done.err
    assert f"are not scored: no reference in {reference}: 1 (x)" in done.err


def test_a_text_that_is_an_error_counts_as_one_and_the_status_says_so(
    sorigeul: Command, tmp_path: Path
) -> None:
    reference, texts = tmp_path / "ref.tsv", tmp_path / "hyp.jsonl"
    reference.write_text("a\t가 나\nb\t다\n", encoding="utf-8")
    texts.write_text('{"id": "a", "text": "가 나"}\n{"id": "b", "error": "damaged"}\n', "utf-8")
    done = sorigeul("evaluate", "--hyp", texts, "--ref", reference, "--json", "-")
    assert done.status == 2
    assert "1 of 2 recordings could not be read" in done.error()
    results = json.loads(done.out)
    assert (results["failures"], results["missing"]) == ({"b": "damaged"}, [])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "too few arguments: sorigeul evaluate RUN [RUN_B] DATA, or sorigeul evaluate --hyp"),
        ("run", "too few arguments"),
        ("--hyp a", "give --ref FILE, and --hyp FILE once or twice"),
        ("--ref a", "give --ref FILE, and --hyp FILE once or twice"),
        ("--hyp a --hyp b --hyp c --ref d", "once or twice"),
        ("run data --ref a --hyp b", "--hyp and --ref exclude RUN, DATA"),
        ("--ref a --hyp b --beam 3", "--hyp and --ref exclude RUN, DATA"),
        ("--ref a --hyp b --reliability c", "--hyp and --ref exclude RUN, DATA"),
        ("--ref a --hyp b", "a: cannot be read"),
        ("run data --policy kind", "no scoring policy 'kind'; choose one of strict/1, "),
        ("run data --policy spacing-free --numerals equal", "--numerals equal is the policy readi"),
        ("run data --worst -1", "worst is -1, but must be at least 0"),
    ],
)
def test_wrong_arguments_are_refused(
    sorigeul: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = sorigeul("evaluate", *arguments.split())
    assert (done.status, done.out) == (2, "")
    assert message in done.error()


def test_results_replace_results_and_nothing_else(sorigeul: Command, tmp_path: Path) -> None:
    reference, texts = tmp_path / "ref.tsv", tmp_path / "hyp.tsv"
    reference.write_text("a\t가 나\nb\t다\n", encoding="utf-8")
    texts.write_text("a\t가 나\nb\t라\n", encoding="utf-8")
    (tmp_path / "notes.html").write_text("<!doctype html><p>mine", encoding="utf-8")
    (tmp_path / "package.json").write_text('{"name": "mine"}', encoding="utf-8")
    files = ("evaluate", "--hyp", texts, "--ref", reference)
    for option, name, words in (
        ("--json", "ref.tsv", f"is {reference}, which this command reads"),
        ("--report", "hyp.tsv", f"is {texts}, which this command reads"),
        ("--report", "notes.html", "exists, and --report would overwrite it"),
        ("--json", "package.json", "exists, and --json would overwrite it"),
    ):
        before = (tmp_path / name).read_bytes()
        done = sorigeul(*files, option, tmp_path / name)
        assert (done.status, done.out) == (2, "")
        assert words in done.error()
        assert (tmp_path / name).read_bytes() == before
    results = ("--json", tmp_path / "r.json", "--report", tmp_path / "r.html")
    for _ in range(2):
        assert sorigeul(*files, *results).status == 0
        two = sorigeul(*files, "--hyp", texts, *results)
        assert two.status == 0
    assert sorigeul(*files, "--json", tmp_path / "package.json", "--overwrite").status == 0
