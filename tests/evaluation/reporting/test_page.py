"""The report in a browser: Debian's Chromium, without a window and without a network."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from helpers import tones
from lhotse import CutSet

from sorigeul.data import manifests
from sorigeul.evaluation.evaluate import Evaluation, RecognizedUtterance
from sorigeul.evaluation.judgement import judge
from sorigeul.evaluation.policies import STRICT
from sorigeul.evaluation.report import ReportedData, ReportedSystem, write_report
from sorigeul.evaluation.scores import TextPair
from sorigeul.recognition.transcription import Word
from sorigeul.sound.audio import SAMPLE_RATE

api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install '.[dev]'")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
UTTERANCES = 3000
SECONDS = 21.0  # of every recording, longer than a clip
HOSTILE = "<script>document.title='stolen'</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    with api.sync_playwright() as playwright:
        # Chromium's sandbox needs what containers and root do not have.
        arguments = ["--no-sandbox", "--mute-audio", "--autoplay-policy=no-user-gesture-required"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


def heard(text: str, random: Random) -> str:
    """A text in which some characters are others, missing or too many."""
    return "".join(
        random.choice(("", "가", character + "나")) if random.random() < 0.2 else character
        for character in text
    ).strip()


def recognized(pair: TextPair, random: Random) -> RecognizedUtterance:
    """An utterance of `SECONDS` with attention along the diagonal."""
    frames, words = round(SECONDS / 0.08), pair.hypothesis.split()
    edges = torch.linspace(0, SECONDS, frames + 1)
    positions = torch.linspace(0, frames - 1, max(len(pair.hypothesis), 1))
    distance = torch.arange(frames) - positions[: len(pair.hypothesis), None]
    return RecognizedUtterance(
        id=pair.id,
        reference=pair.reference,
        hypothesis=pair.hypothesis,
        ctc_hypothesis=None,
        speaker=pair.speaker,
        seconds=SECONDS,
        characters=list(pair.hypothesis),
        alignment=torch.softmax(-distance.square() / 4, 1),
        attention_metrics=None,
        words=[Word(word, 0, 1, random.random()) for word in words],
        frame_spans=torch.stack((edges[:-1], edges[1:]), dim=1),
        signal_to_noise=random.uniform(5, 40),
    )


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of two systems on 3,000 utterances, as large as one can be."""
    folder = tmp_path_factory.mktemp("browser")
    noise = np.random.default_rng(0).standard_normal(round(SECONDS * SAMPLE_RATE)) / 10
    corpus = tones.manifests(folder, ["가"], ["test"])
    soundfile.write(folder / "audio" / "u00.wav", noise, SAMPLE_RATE)
    (cut,) = manifests.required_manifest(corpus, "test")
    random = Random(0)
    syllables = [chr(random.randint(ord("가"), ord("힣"))) for _ in range(300)]
    pairs, others = [], []
    for number in range(UTTERANCES):
        count = random.randint(3, 14)
        words = ["".join(random.choices(syllables, k=random.randint(1, 4))) for _ in range(count)]
        text, speaker = " ".join(words), f"speaker {number % 200}"
        pairs.append(TextPair(f"u{number}", text, heard(text, random), speaker))
        others.append(replace(pairs[-1], hypothesis=heard(text, random)))
    pairs[7] = TextPair("u7", f"가 {HOSTILE}", "나", HOSTILE)
    others[7] = replace(pairs[7], hypothesis=f"다 {HOSTILE}")
    judgements = [judge(one, "plain/1") for one in (pairs, others)]
    evaluation = Evaluation(
        recognitions=[recognized(pair, random) for pair in pairs],
        pairs=pairs,
        failures={},
        unknown={},
        score=judgements[0].by_policy[STRICT].score,
        ctc_score=None,
        loss=1.0,
        rtf=0.05,
    )
    systems = [
        ReportedSystem("runs/mine", judgements[0], evaluation),
        ReportedSystem("theirs.tsv", judgements[1]),
    ]
    cuts = CutSet.from_cuts(replace(cut, id=pair.id) for pair in pairs)
    path = folder / "report.html"
    write_report(path, systems, ReportedData("data/mine", "test", cuts), STRICT)
    return path


class Visit:
    """A page that is open, with what it complained of and what it asked for."""

    def __init__(self, browser: Any, path: Path, locale: str, scheme: str) -> None:
        self.context = browser.new_context(locale=locale, color_scheme=scheme)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.route(
            lambda url: url != path.as_uri() and not url.startswith("data:"),
            lambda route: route.abort(),
        )
        self.page.goto(path.as_uri())

    def text(self) -> str:
        return str(self.page.locator("main").text_content())

    def assert_quiet(self, path: Path) -> None:
        """No error, and no request but for the file itself."""
        assert self.complaints == []
        assert {url for url in self.requests if not url.startswith("data:")} == {path.as_uri()}


@pytest.fixture
def visit(browser: Any, report: Path) -> Iterator[Visit]:
    visit = Visit(browser, report, "en-US", "light")
    yield visit
    visit.context.close()


def test_it_is_below_six_megabytes(report: Path) -> None:
    assert 1e6 < report.stat().st_size < 6e6


def test_it_opens_in_two_seconds(browser: Any, report: Path) -> None:
    """The best of three, since other tests run at the same time."""
    milliseconds = []
    for _ in range(3):
        visit = Visit(browser, report, "en-US", "light")
        milliseconds.append(
            visit.page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
        )
        visit.context.close()
    assert 0 < min(milliseconds) < 2000


def test_it_shows_everything_without_an_error_or_a_request(visit: Visit, report: Path) -> None:
    text = visit.text()
    for broken in ("NaN", "undefined", "[object", "null", "Infinity"):
        assert broken not in text
    for name in ("scores", "where", "utterances", "confusions", "words", "confidence"):
        assert visit.page.locator(f"section#{name}").is_visible()
    assert "3,000" in text
    assert "The first 20 s are heard and seen." in text
    assert visit.page.locator("figure svg").count() == 5 + 3 + 1
    assert visit.page.locator(".confusions").first.locator("li").count() == 30
    visit.assert_quiet(report)


def test_it_speaks_the_language_of_the_browser_and_can_be_switched(
    browser: Any, report: Path
) -> None:
    for locale, first, other in (("ko-KR", "ko", "en"), ("de-DE", "en", "ko")):
        visit = Visit(browser, report, locale, "dark")
        headings = {"ko": "글자 인식률 (CRR)", "en": "Characters recognised (CRR)"}
        assert headings[first] in visit.text()
        visit.page.click(f".languages [lang={other}]")
        assert headings[other] in visit.text()
        assert headings[first] not in visit.text()
        assert visit.page.evaluate("document.documentElement.lang") == other
        visit.assert_quiet(report)
        visit.context.close()


def test_a_clip_plays_and_the_attention_follows_it(visit: Visit, report: Path) -> None:
    assert visit.page.locator("audio").count() >= 20
    seconds = visit.page.evaluate(
        """async () => {
            const audio = document.querySelector("audio");
            await audio.play();
            await new Promise((resolve) => (audio.ontimeupdate = () => {
                if (audio.currentTime > 0.2) resolve();
            }));
            audio.pause();
            return audio.duration;
        }"""
    )
    assert seconds == pytest.approx(20, abs=0.1)
    assert float(visit.page.locator(".playhead").first.get_attribute("x1")) > 30
    assert visit.page.locator("svg .attention").first.bounding_box()["width"] > 500
    visit.page.locator("summary").nth(1).click()
    api.expect(visit.page.locator("svg .attention")).to_have_count(2)
    visit.assert_quiet(report)


def test_a_square_of_a_heat_map_tells_its_numbers(visit: Visit, report: Path) -> None:
    visit.page.locator(".letters .confused").first.hover()
    api.expect(visit.page.locator(".readout").first).to_contain_text("was recognised as")
    visit.assert_quiet(report)


def test_a_transcript_is_text_whatever_is_in_it(visit: Visit, report: Path) -> None:
    assert visit.page.title().endswith("runs/mine")
    assert visit.page.locator("img").count() == 0
    card = visit.page.locator("article", has=visit.page.get_by_text("u7", exact=True)).first
    letters = card.locator(".aligned").first.text_content()
    assert letters.replace("\u00a0", "").startswith("가나<script>document")
    visit.assert_quiet(report)


def test_on_a_telephone_nothing_is_wider_than_the_screen(visit: Visit) -> None:
    visit.page.set_viewport_size({"width": 390, "height": 800})
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390
