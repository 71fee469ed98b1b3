"""The page of a corpus: what is in it, and that a browser shows it."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from sorigeul.corpora.counts import SplitCounts
from sorigeul.prepared.corpus import PreparedCorpus
from sorigeul.prepared.report import contents, histogram, jamo_shares, write_report
from sorigeul.prepared.statistics import CorpusStatistics, SplitStatistics, corpus_statistics

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def test_a_histogram_has_round_bars_that_hold_everything() -> None:
    values = [0.3 * number for number in range(200)] + [1e6]
    bars = histogram(values)
    assert sum(count for _, _, count in bars) == 201
    assert {round(high - low, 6) for low, high, _ in bars} == {5.0}
    assert bars[0][0] == 0
    assert [count for _, _, count in histogram([2.0, 2.0])] == [2]


def test_jamo_are_counted_at_their_places() -> None:
    shares = jamo_shares(Counter({"가": 2, "각": 1, "휙": 1, "a": 5}))
    assert {one["name"]: one["share"] for one in shares["initial"] if one["share"]} == {
        "ㄱ": 75.0,
        "ㅎ": 25.0,
    }
    assert {one["name"]: one["share"] for one in shares["medial"] if one["share"]} == {
        "ㅏ": 75.0,
        "ㅟ": 25.0,
    }
    assert {one["name"]: one["share"] for one in shares["final"] if one["share"]} == {
        "–": 50.0,
        "ㄱ": 50.0,
    }


def test_the_page_holds_the_statistics(prepared: PreparedCorpus) -> None:
    shown = contents("data", corpus_statistics(prepared, 0, 1))
    assert (shown["utterances"], shown["seconds"], shown["speakers"]) == (6, 10.0, 4)
    assert shown["longest_speakers"][0] == {"name": "가", "minutes": 0.05}
    assert shown["repeated"] == [{"text": "안녕하세요.", "times": {"train": 2, "dev": 1}}]
    assert [one["name"] for one in shown["scripts"]] == ["Latin", "digits"]
    assert {*"똠방각"} <= set(shown["once"]["names"])
    assert shown["leaks"]


def test_the_page_counts_what_it_has_no_room_to_name() -> None:
    reasons = [f"{number}.wav: cut short" for number in range(5000)]
    once = Counter(map(chr, range(ord("가"), ord("가") + 300)))
    train = SplitStatistics(SplitCounts(characters=once))
    shown = contents("data", CorpusStatistics({"train": train}, unreadable=reasons))
    assert shown["unreadable"] == {"count": 5000, "names": reasons[:200]}
    assert shown["clipped"] == {"count": 0, "names": []}
    assert (shown["once"]["count"], len(shown["once"]["names"])) == (300, 200)


def test_a_browser_shows_it_in_both_languages(prepared: PreparedCorpus, tmp_path: Path) -> None:
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if CHROMIUM is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    hostile = "<img src=x onerror=alert(1)>"
    statistics = corpus_statistics(prepared, 0, 1)
    statistics.unreadable += [f"{number}.wav: cut short" for number in range(5000)]
    write_report(tmp_path / "page.html", hostile, statistics)
    errors: list[str] = []
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(locale="ko")
        page.on("pageerror", lambda error: errors.append(str(error)))
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        page.goto((tmp_path / "page.html").as_uri())
        assert page.title() == f"말뭉치 {hostile}"
        assert page.locator("figure").count() == 11
        assert "train에도 있는 문장" in page.inner_text("main")
        page.get_by_role("button", name="English").click()
        assert page.title() == f"The corpus {hostile}"
        assert "sentences also in train" in page.inner_text("main")
        page.get_by_text("Recordings that cannot be read (5,000)").click()
        assert page.locator("details p").inner_text().endswith("199.wav: cut short, …")
        assert page.locator("tbody tr").first.inner_text().split() == ["utterances", "4", "1", "1"]
        browser.close()
    assert errors == []
    assert requests == [(tmp_path / "page.html").as_uri()]
