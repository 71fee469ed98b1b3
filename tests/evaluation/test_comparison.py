"""Comparison of engines: what is kept, what is resumed, which is best, and what fails."""

import json
import random
import signal
from pathlib import Path

import pytest
from helpers import tones
from helpers.processes import Forked, Pause
from helpers.transcription_server import Answer, TranscriptionServer, Upload, serving
from lhotse import CutSet

from sorigeul.base.errors import UserError
from sorigeul.data import manifests
from sorigeul.evaluation.comparison import EngineComparison, EngineTexts, transcribe_all
from sorigeul.evaluation.engines.text_cache import TextCache
from sorigeul.evaluation.judgement import compare, judge
from sorigeul.evaluation.policies import READINGS, SPACING_FREE, STRICT
from sorigeul.evaluation.scores import TextPair
from sorigeul.evaluation.transcript_files import read_transcripts


@pytest.fixture
def cuts(corpus: Path) -> CutSet:
    """Forty utterances of four speakers."""
    return manifests.required_manifest(corpus, "train")


def heard(cuts: CutSet, error_rate: float, name: str = "engine", **changes: object) -> EngineTexts:
    """What an engine makes of the utterances that errs with `error_rate`."""
    generator = random.Random(name)
    texts = {
        cut.id: "".join(
            "마" if generator.random() < error_rate else character
            for character in manifests.transcript(cut)
        )
        for cut in cuts
    }
    fields = {"texts": texts, "failures": {}, "rtf": 0.5, **changes}
    return EngineTexts(name, f"file:{name}", **fields)  # type: ignore[arg-type]


def by_length(upload: Upload, _: int) -> Answer:
    """A text that tells how long the recording is."""
    return Answer.text("가" * (len(upload.samples) // 1000))


def engine(server: TranscriptionServer, model: str = "m") -> str:
    return f"openai:{server.url}#{model}"


# What is recognised, and kept


def test_an_engine_gets_every_utterance_once_and_never_again(cuts: CutSet, tmp_path: Path) -> None:
    with serving(by_length) as server:
        (first,) = transcribe_all([engine(server)], cuts, "", tmp_path)
        assert len(server.uploads) == 40
        (again,) = transcribe_all([f"named={engine(server)}"], cuts, "", tmp_path)
        assert len(server.uploads) == 40
    assert first.texts == again.texts
    assert first.rtf == again.rtf
    assert first.texts == {cut.id: "가" * int(cut.duration * 16) for cut in cuts}
    assert (first.failures, first.defect, again.name) == ({}, "", "named")
    assert first.rtf is not None
    lengths = [len(upload.samples) for upload in server.uploads]
    assert lengths == sorted(lengths, reverse=True)
    (file,) = tmp_path.iterdir()
    assert read_transcripts(file).texts == first.texts
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    sound = sum(cut.duration for cut in cuts)
    assert first.rtf == pytest.approx(sum(row["seconds"] for row in rows) / sound)


def test_another_model_and_other_utterances_are_kept_apart(
    corpus: Path, cuts: CutSet, tmp_path: Path
) -> None:
    with serving(by_length) as server:
        transcribe_all([engine(server), engine(server, "n")], cuts, "", tmp_path)
        assert len(server.uploads) == 80
        dev = manifests.required_manifest(corpus, "dev")
        (other,) = transcribe_all([engine(server)], dev, "", tmp_path)
    assert len(server.uploads) == 84
    assert other.texts.keys() == {cut.id for cut in dev}
    assert len(list(tmp_path.iterdir())) == 3


def test_an_engine_that_was_killed_goes_on_where_it_stopped(corpus: Path, tmp_path: Path) -> None:
    """By kill -9, of a process that was writing its ninth line."""
    with serving(by_length) as server:
        out = tmp_path / "out"
        command = ("compare", corpus, "--split", "train", "--engine", engine(server), "--out", out)
        pause = Pause(9, [(TextCache, "add")])
        process = Forked(tmp_path / "process", *command, pause=pause)
        assert process.wait_until_paused()
        process.kill(signal.SIGKILL)
        assert process.done().status == -signal.SIGKILL
        assert len(server.uploads) == 9
        (file,) = (out / "texts").glob("*.jsonl")  # beside the lock of the killed process
        content = file.read_text(encoding="utf-8")
        assert content.count("\n") == 8
        file.write_text(content + content.splitlines()[0][:20], encoding="utf-8")
        process = Forked(tmp_path / "process", *command)
        assert process.done().status == 0, process.done().err
        assert len(server.uploads) == 9 + 32
        cuts = manifests.required_manifest(corpus, "train")
        (expected,) = transcribe_all([engine(server)], cuts, "", tmp_path / "uninterrupted")
    assert read_transcripts(file).texts == expected.texts
    assert file.read_text(encoding="utf-8").startswith(content)


def test_what_fails_on_one_utterance_is_named_and_tried_again(
    cuts: CutSet, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def all_but_two(upload: Upload, number: int) -> Answer:
        return Answer(400, "too loud") if number in (3, 7) else by_length(upload, number)

    with serving(all_but_two) as server:
        (first,) = transcribe_all([engine(server)], cuts, "", tmp_path)
        (second,) = transcribe_all([engine(server)], cuts, "", tmp_path)
    assert len(server.uploads) == 42
    assert len(first.failures) == 2
    assert all("answers 400 Bad Request: too loud" in reason for reason in first.failures.values())
    assert (first.defect, second.defect, second.failures) == ("", "", {})
    assert second.texts.keys() - first.texts.keys() == first.failures.keys()
    comparison = EngineComparison([first], cuts, STRICT)
    pairs = {pair.id: pair for pair in comparison.engines[0].judgement.pairs}
    assert len(pairs) == 40
    for id_ in first.failures:
        assert pairs[id_].hypothesis == ""
        assert f"{id_} counts as recognised as nothing by {engine(server)}: " in caplog.text
    assert "has no text for 2 utterances" in comparison.table()


def test_what_fails_on_all_utterances_has_a_defect(corpus: Path, tmp_path: Path) -> None:
    test = manifests.required_manifest(corpus, "test")
    theirs = tmp_path / "theirs.tsv"
    theirs.write_text("other\t가\n", encoding="utf-8")
    with serving(lambda *_: Answer(422, "no")) as server:
        outputs = transcribe_all([f"file:{theirs}", engine(server)], test, "", tmp_path / "texts")
    assert [one.texts for one in outputs] == [{}, {}]
    assert outputs[0].defect == f"fails on all 4 utterances, as in: no line in {theirs}"
    assert outputs[1].defect.startswith("fails on all 4 utterances, as in: http://127.0.0.1")
    assert EngineComparison(outputs, test, STRICT).engines == []


# Which is best


def test_the_best_comes_first_and_the_others_are_compared_with_it(cuts: CutSet) -> None:
    outputs = [heard(cuts, rate, name) for name, rate in (("c", 0.5), ("a", 0.02), ("b", 0.3))]
    comparison = EngineComparison(outputs, cuts, STRICT)
    assert [one.output.name for one in comparison.engines] == ["a", "b", "c"]
    best = comparison.engines[0]
    assert best.against_best == {}
    for one in comparison.engines[1:]:
        pairs = [
            TextPair(
                cut.id,
                manifests.transcript(cut),
                one.output.texts[cut.id],
                manifests.speaker(cut),
            )
            for cut in cuts
        ]
        alone = judge(pairs, "plain/2")
        assert one.judgement.to_json() == alone.to_json()
        for policy in (STRICT, READINGS):
            assert one.against_best[policy] == compare(best.judgement, alone, policy)
    content = json.loads(json.dumps(comparison.to_json()))
    assert content["best"] == "a"
    assert [one["engine"] for one in content["engines"]] == ["a", "b", "c"]
    assert content["engines"][1]["against_best"].keys() == {"strict/1", "readings/3"}
    score = comparison.engines[1].judgement.by_policy[STRICT].score
    assert content["engines"][1]["crr"] == score.crr


def test_the_policy_decides_which_is_best(cuts: CutSet) -> None:
    with_stops = {cut.id: f"{manifests.transcript(cut)}." for cut in cuts}
    outputs = [heard(cuts, 0.0, "stops", texts=with_stops), heard(cuts, 0.05, "close")]
    strict, free = (
        [one.output.name for one in EngineComparison(outputs, cuts, policy).engines]
        for policy in (STRICT, SPACING_FREE)
    )
    assert strict == ["close", "stops"]
    assert free == ["stops", "close"]


def table_rows(comparison: EngineComparison) -> list[list[str]]:
    lines = [line for line in comparison.table().splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_table_has_a_row_for_each_engine_and_policy(cuts: CutSet) -> None:
    outputs = [heard(cuts, 0.5, "worse", rtf=None), heard(cuts, 0.0, "exact")]
    comparison = EngineComparison(outputs, cuts, STRICT)
    header, rule, *rows = table_rows(comparison)
    assert all(set(cell) <= {"-", ":"} for cell in rule)
    assert [row[:2] for row in rows] == [
        [policy, name] for policy in ("strict/1", "readings/3") for name in ("exact", "worse")
    ]
    cells = dict(zip(header, rows[0], strict=True))
    assert cells["CRR (%)"] == "100.00 (100.0 to 100.0)"
    assert (cells["RTF"], cells["p (CRR)"]) == ("0.500", "best")
    cells = dict(zip(header, rows[1], strict=True))
    score = comparison.engines[1].judgement.by_policy[STRICT]
    low, high = score.intervals["wer"]
    assert cells["WER (%)"] == f"{score.score.wer:.2f} ({low:.1f} to {high:.1f})"
    chances = [cells[f"p ({test})"] for test in ("CRR", "WER", "pairs")]
    assert cells["RTF"] == "–"
    assert all(float(chance.removeprefix("< ")) < 0.01 for chance in chances)
    assert "CRR: worse is worse than exact by" in comparison.table()


def test_one_engine_alone_is_compared_with_nothing(cuts: CutSet) -> None:
    comparison = EngineComparison([heard(cuts, 0.1)], cuts, READINGS)
    _, _, *rows = table_rows(comparison)
    assert [row[0] for row in rows] == ["readings/3", "strict/1"]
    assert "worse" not in comparison.table()


def test_an_engine_with_a_defect_is_told_of_and_not_judged(cuts: CutSet) -> None:
    outputs = [heard(cuts, 0.1, "sound"), heard(cuts, 0.0, "broken", defect="does not answer")]
    comparison = EngineComparison(outputs, cuts, STRICT)
    assert [one.output.name for one in comparison.engines] == ["sound"]
    assert comparison.defects == {"broken": "does not answer"}
    assert "not in the table: broken, does not answer" in comparison.table()
    assert comparison.to_json()["defects"] == comparison.defects


def test_every_utterance_has_the_texts_of_all(cuts: CutSet) -> None:
    first, second = heard(cuts, 0.0, "first"), heard(cuts, 0.3, "second")
    some = next(iter(cuts)).id
    second.texts[some] = " 두\t낱말\n "
    header, *rows = [
        line.split("\t")
        for line in EngineComparison([first, second], cuts, STRICT).texts()[:-1].split("\n")
    ]
    assert header == ["id", "reference", "first", "second"]
    assert [row[0] for row in rows] == [cut.id for cut in cuts]
    for cut, (id_, *texts) in zip(cuts, rows, strict=True):
        expected = [manifests.transcript(cut), first.texts[id_], second.texts[id_]]
        assert texts == [" ".join(text.split()) for text in expected]


def test_references_without_a_character_cannot_be_compared(tmp_path: Path) -> None:
    folder = tones.manifests(tmp_path, tones.texts(2), ["test"] * 2)
    manifest = (folder / "test.jsonl").read_text(encoding="utf-8")
    for text in tones.texts(2):
        manifest = manifest.replace(f'"{text}"', '" "')
    (folder / "test.jsonl").write_text(manifest, encoding="utf-8")
    cuts = manifests.required_manifest(folder, "test")
    with pytest.raises(UserError, match="no character to score by"):
        EngineComparison([heard(cuts, 0.0)], cuts, STRICT)
