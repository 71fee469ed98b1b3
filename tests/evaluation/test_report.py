"""`evaluate --report`: the figures are those of the JSON; nothing outside the file is needed."""

import json
import re
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from helpers import tones
from helpers.commands import Command
from lhotse import CutSet

from sorigeul.data import manifests
from sorigeul.data.sampling import evaluation_batches
from sorigeul.evaluation.evaluate import evaluate
from sorigeul.evaluation.judgement import judge
from sorigeul.evaluation.policies import POLICIES, READINGS, STRICT, Policy
from sorigeul.evaluation.report import ReportedData, ReportedSystem, write_report
from sorigeul.evaluation.scores import TextPair, worst_utterances
from sorigeul.recognition.recognizer import Recognizer

HOSTILE = '</script><script>alert("x")</script><!--<img src=x onerror=alert(1)>&amp;{{style}}'


class Page(HTMLParser):
    """The elements of a page, and what is in its blocks of JSON."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.blocks: dict[str, Any] = {}
        self.block: str | None = None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        self.block = attributes.get("id") if tag == "script" else None

    def handle_data(self, data: str) -> None:
        if self.block:
            self.blocks[self.block] = json.loads(data)
            self.block = None


def read(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def rounded(value: Any) -> Any:
    """With four decimals, as in the report."""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    return [rounded(one) for one in value] if isinstance(value, list) else value


def pairs_of(*texts: tuple[str, str]) -> list[TextPair]:
    return [TextPair(f"u{number}", *pair) for number, pair in enumerate(texts)]


def contents(
    pairs: list[TextPair], folder: Path, headline: Policy = STRICT, seed: int = 0
) -> dict[str, Any]:
    """What the report of some texts shows."""
    path = folder / "report.html"
    systems = [ReportedSystem("texts.tsv", judge(pairs, "plain/1"))]
    write_report(path, systems, ReportedData("data"), headline, seed)
    data: dict[str, Any] = read(path).blocks["data"]
    return data


@dataclass(frozen=True)
class Reported:
    """A report, and what it was made of."""

    path: Path
    page: Page
    results: dict[str, Any]
    """what `evaluate --json` has"""
    texts: dict[str, str]
    """the references by id"""

    @property
    def data(self) -> dict[str, Any]:
        """What the page shows."""
        content: dict[str, Any] = self.page.blocks["data"]
        return content


@pytest.fixture(scope="module")
def system(run: Path, corpus: Path, cuts: CutSet) -> ReportedSystem:
    """The tiny run on its training utterances, of whose texts every third was changed."""
    recognizer = Recognizer.from_pretrained(run)
    batches = evaluation_batches(cuts, recognizer.pretrained.vocabulary)
    evaluation = evaluate(recognizer, batches, "plain/1")
    return ReportedSystem("runs/tiny", judge(evaluation.pairs, "plain/1"), evaluation)


@pytest.fixture(scope="module")
def cuts(corpus: Path) -> CutSet:
    changed = [
        replace(cut, supervisions=[replace(spoken, text=spoken.text.replace("가", "나") + "라")])
        if number % 3 == 0
        else cut
        for number, cut in enumerate(manifests.required_manifest(corpus, "train"))
        for spoken in cut.supervisions
    ]
    return CutSet.from_cuts(changed)


@pytest.fixture(scope="module")
def reported(
    system: ReportedSystem, cuts: CutSet, tmp_path_factory: pytest.TempPathFactory
) -> Reported:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(path, [system], ReportedData("data/tones", "train", cuts), STRICT)
    assert system.evaluation is not None
    results = {**system.evaluation.to_json(), **system.judgement.to_json()}
    texts = {cut.id: manifests.transcript(cut) for cut in cuts}
    return Reported(path, read(path), json.loads(json.dumps(results)), texts)


# Figures


def test_the_scores_are_those_of_the_json(reported: Reported) -> None:
    data, results = reported.data, reported.results
    (system,) = data["systems"]
    assert system["scores"] == rounded(results["policies"])
    assert data["headline"] == results["policy"] == "strict/1"
    assert system["rtf"] == round(results["rtf"], 4)
    assert data["resampled"] == {"unit": "utterance", "units": results["utterances"]}
    assert sum(count for _, count in data["histogram"]) == results["utterances"]
    assert [policy["name"] for policy in data["policies"]] == list(map(str, POLICIES))


def test_the_command_names_what_was_judged_as_the_user_did(
    sorigeul: Command, run: Path, corpus: Path, tmp_path: Path
) -> None:
    report, results = tmp_path / "deep" / "report.html", tmp_path / "results.json"
    command = ("evaluate", run, corpus, "--split", "dev", "--worst", 0)
    done = sorigeul(*command, "--report", report, "--json", results)
    assert (done.status, done.err) == (0, "")
    data = read(report).blocks["data"]
    (system,) = data["systems"]
    assert system["scores"] == rounded(json.loads(results.read_text())["policies"])
    assert data["data"] == {"name": str(corpus), "split": "dev"}
    assert system["name"] == str(run)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", system["trained"])
    assert str(corpus.parent / "audio") not in report.read_text(encoding="utf-8")


def test_every_breakdown_has_every_utterance(reported: Reported) -> None:
    data = reported.data
    assert data["groups"].keys() == {"length", "speaking_rate", "signal_to_noise", "speaker"}
    for groups in data["groups"].values():
        assert sum(group["utterances"] for group in groups) == 40
    assert {group["name"] for group in data["groups"]["speaker"]} == {"s0", "s1", "s2", "s3"}
    slowest = data["groups"]["speaking_rate"][0]
    assert slowest["low"] == 1 / tones.SECONDS


def test_confusions_and_words_add_up_to_the_scores(
    reported: Reported,
) -> None:
    data, results = reported.data, reported.results
    edits = results["substitutions"] + results["insertions"] + results["deletions"]
    listed = data["confusions"]["characters"]
    assert edits > 10
    assert sum(one["count"] for one in listed) == edits
    for letters in data["confusions"]["letters"]:
        counts = letters["counts"]
        total = sum(map(sum, counts))
        wrong = total - sum(row[place] for place, row in enumerate(counts))
        assert 100 * wrong / total == pytest.approx(results[f"jer_{letters['position']}"])
    assert data["words"]
    assert all(0 < word["wrong"] <= word["count"] for word in data["words"])


def test_the_confidences_of_all_words_are_judged(
    reported: Reported,
) -> None:
    confidence = reported.data["confidence"]
    assert confidence["words"] == sum(part["count"] for part in confidence["bins"])
    assert 30 <= confidence["words"] <= 60
    assert 0 < confidence["error"] < 1
    assert not confidence["calibrated"]
    mean = sum(part["count"] * part["correct"] for part in confidence["bins"])
    assert confidence["correct"] == pytest.approx(mean / confidence["words"], abs=1e-3)


# Utterances


def test_the_worst_utterances_and_others_are_heard_seen_and_aligned(
    reported: Reported,
) -> None:
    data = reported.data
    utterances = data["utterances"]
    shown, worst, drawn = (utterances[name] for name in ("shown", "worst", "random"))
    assert len(drawn) == len(set(drawn)) == 20
    rates = [shown[row]["rate"] for row in worst]
    assert rates == sorted(rates, reverse=True)
    assert min(rates) > 0
    assert len({one["id"] for one in shown}) == len(shown) == len({*worst, *drawn})
    for one in shown:
        (runs,) = one["runs"]
        assert "".join(said for _, said, _ in runs) == reported.texts[one["id"]]
        assert one["length"] == len(reported.texts[one["id"]])
        edits = sum(max(len(said), len(heard)) for tag, said, heard in runs if tag != "equal")
        assert one["errors"] == edits
        assert one["clip"].startswith("data:audio/webm;base64,")
        heard = "".join(heard for _, _, heard in runs)
        if heard:
            assert "".join(one["attention"]["characters"]) == heard
            assert one["attention"]["image"].startswith("data:image/png;base64,")


def test_the_worst_are_those_that_the_command_prints(tmp_path: Path) -> None:
    pairs = pairs_of(*[("가나다라" * 3, "가나다라" * 3 + "마" * (n * 7 % 11)) for n in range(40)])
    data = contents(pairs, tmp_path)
    utterances = data["utterances"]
    references, hypotheses = zip(
        *[(pair.reference, pair.hypothesis) for pair in pairs], strict=True
    )
    worst = [pairs[row].id for row in worst_utterances(references, hypotheses, 20)]
    assert [utterances["shown"][row]["id"] for row in utterances["worst"]] == worst


def test_the_sample_is_drawn_by_the_seed(tmp_path: Path) -> None:
    pairs = pairs_of(*[("가나다", "가나다")] * 500)
    drawn = [
        [one["id"] for one in contents(pairs, tmp_path, seed=seed)["utterances"]["shown"]]
        for seed in (0, 0, 1)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(drawn[0]) == 20


def test_texts_are_shown_as_the_policy_compares_them(tmp_path: Path) -> None:
    pairs = pairs_of(("70% 올랐다", "칠십 프로 올랐다"), ("가 나", "가나"), ("다", "라"))
    strict, readings = (contents(pairs, tmp_path, policy) for policy in (STRICT, READINGS))
    by_strict, by_readings = (
        {one["id"]: one for one in data["utterances"]["shown"]} for data in (strict, readings)
    )
    assert by_strict["u0"]["errors"] > 0
    assert by_readings["u0"]["errors"] == 0
    assert {tag for tag, _, _ in by_strict["u1"]["runs"][0]} == {"equal", "delete"}
    for name in ("u0", "u1"):
        assert {tag for tag, _, _ in by_readings[name]["runs"][0]} == {"equal"}
    assert readings["headline"] == "readings/3"


def test_unreadable_recordings_are_shown_as_such(
    sorigeul: Command, run: Path, tmp_path: Path
) -> None:
    folder = tones.manifests(tmp_path, tones.texts(6), ["test"] * 6)
    (tmp_path / "audio" / "u02.wav").unlink()
    report = tmp_path / "deep" / "report.html"
    done = sorigeul("evaluate", run, folder, "--worst", 0, "--report", report)
    assert done.status == 2  # after the report is written
    data = read(report).blocks["data"]
    assert data["systems"][0]["unread"] == 1
    (lost,) = [one for one in data["utterances"]["shown"] if one["unread"]]
    assert (lost["id"], lost["rate"], lost["clip"], lost["attention"]) == (
        "u02.wav",
        100,
        None,
        None,
    )


# Several systems, and texts without sound


def test_two_runs_share_a_report(
    sorigeul: Command, run: Path, corpus: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report.html"
    done = sorigeul(
        "evaluate", run, run, corpus, "--worst", 0, "--split", "dev", "--report", report
    )
    assert done.status == 0
    data = read(report).blocks["data"]
    assert [system["name"] for system in data["systems"]] == [str(run), str(run)]
    assert data["systems"][0]["scores"] == data["systems"][1]["scores"]
    assert [one["crr"]["difference"] for one in data["comparisons"]] == [0]
    assert all(one["runs"][0] == one["runs"][1] for one in data["utterances"]["shown"])


def test_texts_without_sound_have_a_report(sorigeul: Command, tmp_path: Path) -> None:
    (tmp_path / "ref.tsv").write_text("a\t가나 다라\nb\t마바\n", encoding="utf-8")
    (tmp_path / "hyp.tsv").write_text("a\t가나 다마\nb\t마바\n", encoding="utf-8")
    report = tmp_path / "report.html"
    files = ("--hyp", tmp_path / "hyp.tsv", "--ref", tmp_path / "ref.tsv")
    done = sorigeul("evaluate", *files, "--report", report, "--json", "-")
    assert done.status == 0
    data = read(report).blocks["data"]
    assert data["systems"][0]["scores"] == rounded(json.loads(done.out)["policies"])
    assert data["data"] == {"name": str(tmp_path / "ref.tsv"), "split": ""}
    assert data["confidence"] is None
    assert data["systems"][0]["rtf"] is None
    for one in data["utterances"]["shown"]:
        assert one["clip"] is one["attention"] is one["seconds"] is None


# The file


def test_nothing_outside_the_file_is_named(reported: Reported) -> None:
    html = reported.path.read_text(encoding="utf-8")
    assert "http://" not in html
    assert "https://" not in html
    page = reported.page
    for tag, attributes in page.elements:
        for name in ("src", "href"):
            assert (attributes.get(name) or "data:,").startswith("data:"), tag
    (policy,) = [
        attributes["content"] or ""
        for _, attributes in page.elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy


def test_the_same_evaluation_is_the_same_file(
    reported: Reported, system: ReportedSystem, cuts: CutSet, tmp_path: Path
) -> None:
    again = tmp_path / "report.html"
    write_report(again, [system], ReportedData("data/tones", "train", cuts), STRICT)
    assert again.read_bytes() == reported.path.read_bytes()


def test_strings_cannot_leave_their_place(tmp_path: Path) -> None:
    pairs = [
        TextPair(HOSTILE, f"가 {HOSTILE}", f"나 {HOSTILE}", HOSTILE),
        TextPair("b", "가", "나"),
    ]
    system = ReportedSystem(HOSTILE, judge(pairs, HOSTILE))
    path = tmp_path / "report.html"
    write_report(path, [system], ReportedData(HOSTILE, HOSTILE), STRICT)
    page = read(path)
    assert [tag for tag, _ in page.elements].count("script") == 3
    assert "img" not in {tag for tag, _ in page.elements}
    data = page.blocks["data"]
    assert data["systems"][0]["name"] == data["data"]["name"] == HOSTILE
    shown = {one["id"]: one for one in data["utterances"]["shown"]}
    assert "".join(said for _, said, _ in shown[HOSTILE]["runs"][0]) == f"가 {HOSTILE}"


def test_both_languages_say_the_same_things(reported: Reported) -> None:
    texts = reported.page.blocks["texts"]
    assert texts.keys() == {"en", "ko"}
    assert texts["en"].keys() == texts["ko"].keys()
    for name, english in texts["en"].items():
        places = [sorted(set(re.findall(r"\{\w+\}", texts[code][name]))) for code in texts]
        assert places[0] == places[1], name
        assert english
    script = reported.path.read_text(encoding="utf-8")
    for name in re.findall(r'\btext\("(\w+)"', script):
        assert name in texts["en"]
