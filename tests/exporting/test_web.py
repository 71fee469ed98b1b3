"""The page of `export --web` in a real browser, Debian's Chromium, from a plain web server."""

import base64
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from helpers import tones
from helpers.recordings import sound_file

from sorigeul import Recognizer
from sorigeul.exporting.export import ExportOptions, export
from sorigeul.lm.loading import load_language_model
from sorigeul.pretrained.description import PretrainedModel
from sorigeul.pretrained.publishing import publish
from sorigeul.pretrained.search_settings import SearchSettings, TunedSearch
from sorigeul.recognition.transcription import Transcription
from sorigeul.search.options import SearchOptions
from sorigeul.sound.array_features import ArrayLogMel
from sorigeul.sound.audio import SAMPLE_RATE, Samples
from sorigeul.sound.feature_config import FeatureConfig
from sorigeul.sound.segments import SegmentedRecording, SegmentLimits
from sorigeul.text.vocabulary import Vocabulary

api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install '.[dev]'")
axe = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="needs axe: pip install '.[dev]'"
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
WAIT = 120_000  # milliseconds; other tests run at the same time


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


def noise(seconds: float) -> Samples:
    random = np.random.default_rng(3).standard_normal(round(seconds * SAMPLE_RATE))
    return (0.02 * random).astype(np.float32)


UNINTERRUPTED = "다다나나나나나나가나다가라나가다나가다가라라나다다나라라다라가다가다다라"
RECORDINGS: dict[str, Samples] = {
    "short": tones.synthesize("가나다라"),
    "silence around": np.concatenate((silence(1.3), tones.synthesize("라다나"), silence(2))),
    "pauses": np.concatenate(
        [
            part
            for text in ("가나다라나가", "라다", "나")
            for part in (tones.synthesize(text), silence(1))
        ]
    ),
    # Longer than the limit, and nowhere a pause: cut into segments that share a second.
    "uninterrupted": np.concatenate((silence(0.5), tones.synthesize(UNINTERRUPTED, 13))),
    "quiet": 0.02 * tones.synthesize("나다가라나다가라"),
    "noise": noise(3),
}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files of `RECORDINGS`."""
    folder = tmp_path_factory.mktemp("recordings")
    paths = {name: folder / f"{name}.wav" for name in RECORDINGS}
    for name, path in paths.items():
        soundfile.write(path, RECORDINGS[name], SAMPLE_RATE)
    return paths


@pytest.fixture(scope="module")
def exported(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of `run` with its page."""
    folder = tmp_path_factory.mktemp("web") / "exported"
    export(str(run), folder, ExportOptions(web=True))
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser whose microphone hears "short" again and again."""
    if CHROMIUM is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    spoken = tmp_path_factory.mktemp("microphone") / "spoken.wav"
    # At a rate of real devices, since the browser itself resamples others, and not well.
    heard = np.concatenate((RECORDINGS["short"], silence(1)))
    soundfile.write(spoken, soxr.resample(heard, SAMPLE_RATE, 48_000), 48_000)
    microphone = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    # Chromium's sandbox needs what containers and root do not have.
    flags = ["--no-sandbox", *microphone, f"--use-file-for-fake-audio-capture={spoken}"]
    with api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield launched
        launched.close()


class _Handler(SimpleHTTPRequestHandler):
    """What python3 -m http.server answers with, without a word."""

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


class Visit:
    """A page that is open."""

    def __init__(self, context: Any, url: str) -> None:
        self.url, self.page = url, context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(url)

    def card(self, *files: Path | dict[str, Any]) -> Any:
        """The card of the file that is chosen, when all is done."""
        before = self.page.locator(".card").count()
        self.page.locator("input[type=file]").set_input_files(list(files))
        self.page.locator(".card.done").nth(before).wait_for()
        return self.page.locator(".card").first

    def evaluate(self, samples: Samples, body: str, given: Any = None) -> Any:
        """What a function of these lines returns, which may `load` modules of the page."""
        encoded = base64.b64encode(samples.astype("<f4").tobytes()).decode()
        script = """async ([encoded, given]) => {
            const load = (name) => import(`./page/${name}.js`);
            const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
            const samples = new Float32Array(bytes.buffer);
        """
        return self.page.evaluate(script + body + "}", [encoded, given])

    @property
    def announced(self) -> str:
        """What a screen reader was told last."""
        return str(self.page.locator("[role=status]").inner_text())


@pytest.fixture(scope="module")
def visiting(browser: Any) -> Callable[..., Any]:
    """Serves a folder and opens its page.

    At the end it must have asked for nothing elsewhere, and complained of nothing but `expected`.
    """

    @contextmanager
    def visit(folder: Path, expected: str = "", **options: Any) -> Iterator[Visit]:
        handler = partial(_Handler, directory=str(folder))
        settings = {"locale": "ko-KR", "viewport": {"width": 1280, "height": 900}} | options
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            context = browser.new_context(**settings)
            context.set_default_timeout(WAIT)
            visit = Visit(context, f"http://127.0.0.1:{server.server_port}/")
            try:
                yield visit
            finally:
                context.close()
                server.shutdown()
        elsewhere = [one for one in visit.requests if not one.startswith((visit.url, "blob:"))]
        assert elsewhere == []
        complaints = [one for one in visit.complaints if not expected or expected not in one]
        assert complaints == []

    return visit


@pytest.fixture(scope="module")
def opened(visiting: Callable[..., Any], exported: Path) -> Iterator[Visit]:
    """The page of `exported`, for all tests that only give it recordings."""
    with visiting(exported) as visit:
        yield visit


def assert_same(card: Any, expected: Transcription) -> None:
    """The text of each segment, and whether it is doubtful."""
    segments = [segment for segment in expected.segments if segment.text]
    lines = card.locator(".segment")
    assert lines.locator(".words").all_text_contents() == [segment.text for segment in segments]
    for line, segment in zip(lines.all(), segments, strict=True):
        assert line.locator(".flag").count() == segment.doubtful


@pytest.mark.parametrize("name", RECORDINGS)
def test_the_page_writes_what_transcribe_writes(
    opened: Visit, exported: Path, recordings: dict[str, Path], name: str
) -> None:
    expected = Recognizer.from_pretrained(exported).transcribe(recordings[name])
    card = opened.card(recordings[name])
    assert_same(card, expected)
    assert card.locator("h2").inner_text() == f"{name}.wav"
    if not expected.segments:
        assert "말소리를 찾지 못했습니다" in card.inner_text()
    assert bool(expected.text) == (name != "noise")
    assert len(expected.segments) > 3 or name != "uninterrupted"


def test_it_cuts_where_transcribe_does(opened: Visit) -> None:
    """Segments that are cut at pauses, and those that share a second."""
    samples = np.concatenate([*RECORDINGS.values()])
    limits = SegmentLimits.for_longest_utterance(0.0)
    expected = SegmentedRecording.from_samples(samples, limits).segments
    assert any(segment.overlaps for segment in expected)
    assert not all(segment.overlaps for segment in expected)
    found = opened.evaluate(
        samples,
        """const { Recognizer } = await load("recognizer");
        const recognizer = await Recognizer.load();
        const found = [];
        for await (const segment of recognizer.segments(samples)) found.push(segment);
        return found.map(({ start, end, overlapBefore, overlapAfter, samples }) =>
            [start, end, overlapBefore, overlapAfter, samples.length]);""",
    )
    assert found == [
        [one.start, one.end, one.overlap_before, one.overlap_after, len(one.samples)]
        for one in expected
    ]


@pytest.mark.parametrize(
    "config",
    [
        FeatureConfig(),
        FeatureConfig(n_fft=512, n_mels=40, window="hann", normalization="speech"),
        FeatureConfig(frame_length=20.3, window="blackman", normalization="none"),
        FeatureConfig(hop_length=200, stride=12.5, window="rectangular", input_reverse=True),
    ],
    ids=lambda config: config.window,
)
def test_its_features_are_ours(opened: Visit, config: FeatureConfig) -> None:
    spoken = RECORDINGS["silence around"]
    samples = spoken + noise(len(spoken) / SAMPLE_RATE)
    (expected,), (frames,) = ArrayLogMel(config)(samples[None], np.array([len(samples)]))
    given = vars(config) | {"window_samples": config.window_samples}
    found = opened.evaluate(
        samples,
        """const { LogMel } = await load("features");
        const { values, frames } = new LogMel(given).compute(samples);
        return { values: Array.from(values), frames };""",
        given,
    )
    assert found["frames"] == frames
    values = np.array(found["values"]).reshape(expected.shape)
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-4)


def test_eight_bits_tuned_weights_and_a_language_model(
    visiting: Callable[..., Any],
    run: Path,
    language_model: Path,
    recordings: dict[str, Path],
    tmp_path: Path,
) -> None:
    """Whatever changes a text for `transcribe` does for the page."""
    tuned = shutil.copytree(run, tmp_path / "tuned")
    options = SearchOptions(
        beam=4,
        ctc_weight=0.2,
        length_bonus=0.3,
        coverage_weight=0.01,
        lm_weights=(0.6,),
        internal_lm_weight=0.1,
    )
    curve = {"temperature": 0.7, "bias": -2.5}
    calibration = {"words": curve, "segments": curve}
    fingerprint = load_language_model(language_model).fingerprint
    SearchSettings((TunedSearch(options, (fingerprint,), calibration),)).write(tuned)
    folder = tmp_path / "exported"
    export(str(tuned), folder, ExportOptions(int8=True, lm=str(language_model), web=True))
    recognizer = Recognizer.from_pretrained(folder)
    assert recognizer.setup.options == options
    settings = json.loads((folder / "page" / "settings.json").read_text("utf-8"))
    assert SearchOptions(**settings["search"] | {"lm_weights": (0.6,)}) == options
    with visiting(folder) as visit:
        for name in ("short", "uninterrupted"):
            expected = recognizer.transcribe(recordings[name])
            assert_same(visit.card(recordings[name]), expected)


def test_units_of_several_characters(
    visiting: Callable[..., Any],
    tiny: Callable[..., Any],
    recordings: dict[str, Path],
    tmp_path: Path,
) -> None:
    """They are spelt out: where segments overlap, in words, and in what CTC reads on its own."""
    characters = "가나다라마바사아자차 "
    joined = (
        " 가",
        "가나",
        " 나다",
        "다라",
        " 라마바",
        "마바사",
        " 아",
        "자차",
        " 차가",
        "사아자차",
    )
    units = (*characters, *joined, *("나가", " 다", " 사", "바사", " 마", "아자"))
    vocabulary = Vocabulary((*units, "<s>", "</s>", "_"), "bpe")
    features = FeatureConfig(n_mels=8)
    (tmp_path / "run").mkdir()
    model = tiny(ctc_weight=0.3)
    publish(tmp_path / "run", PretrainedModel(model, features, vocabulary, "plain/1", {}, 4.0))
    folder = tmp_path / "exported"
    export(str(tmp_path / "run"), folder, ExportOptions(web=True))
    recognizer = Recognizer.from_pretrained(folder)
    with visiting(folder) as visit:
        for name in ("short", "uninterrupted"):
            expected = recognizer.transcribe(recordings[name])
            assert expected.text
            assert len(expected.segments) > 1 or name == "short"
            assert_same(visit.card(recordings[name]), expected)


def test_by_greedy_search_without_a_ctc_head(
    visiting: Callable[..., Any],
    tiny: Callable[..., Any],
    recordings: dict[str, Path],
    tmp_path: Path,
) -> None:
    """The other search; where segments overlap, times come from the attention."""
    units = tuple("가나다라마바사아자차카타파하거너더러머버서어저처커퍼 ")
    vocabulary = Vocabulary((*units, "<s>", "</s>", "_"))
    features = FeatureConfig(n_mels=8)
    (tmp_path / "run").mkdir()
    publish(
        tmp_path / "run",
        PretrainedModel(tiny(cell="lstm"), features, vocabulary, "plain/1", {}, 4.0),
    )
    folder = tmp_path / "exported"
    export(str(tmp_path / "run"), folder, ExportOptions(web=True))
    expected = Recognizer.from_pretrained(folder).transcribe(recordings["uninterrupted"])
    assert len(expected.segments) > 1
    assert len(expected.text) > 5
    with visiting(folder) as visit:
        assert_same(visit.card(recordings["uninterrupted"]), expected)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no sound at all", "이 파일에서 소리를 읽지 못했습니다"),
        (sound_file(RECORDINGS["short"])[:9000], "파일이 중간에서 끊겼습니다"),
        (sound_file(silence(1)), "이 파일에는 아무 소리도 없습니다"),
    ],
    ids=["unreadable", "cut short", "silent"],
)
def test_a_file_that_cannot_be_used_is_told_in_a_line(
    opened: Visit, content: bytes, message: str
) -> None:
    card = opened.card({"name": "bad.wav", "mimeType": "audio/wav", "buffer": content})
    assert card.locator(".problem").inner_text().startswith(message)
    assert opened.announced == "bad.wav: 글로 옮기지 못했습니다"


def test_other_formats_are_decoded_by_the_browser(opened: Visit, tmp_path: Path) -> None:
    path = tmp_path / "stereo.flac"
    resampled = soxr.resample(RECORDINGS["short"], SAMPLE_RATE, 44_100)
    soundfile.write(path, np.stack((resampled, resampled), axis=1), 44_100)
    card = opened.card(path)
    assert card.locator(".words").all_inner_texts() == ["가나다라"]
    assert opened.announced == "stereo.flac: 글로 옮겼습니다"
    card.get_by_role("button", name="복사").click()
    opened.page.get_by_text("복사했습니다").first.wait_for()


def test_the_microphone(opened: Visit) -> None:
    page = opened.page
    before = page.locator(".card").count()
    page.get_by_role("button", name="녹음 시작").press("Enter")
    stop = page.get_by_role("button", name="녹음 끝내기")
    stop.wait_for()  # from here on it records, however long the browser took to begin
    page.wait_for_timeout(4000)  # more than all that the microphone hears again and again
    stop.press("Enter")
    page.locator(".card.done").nth(before).wait_for()
    card = page.locator(".card").first
    assert card.locator("h2").inner_text().startswith("녹음 ")
    assert card.locator(".words").count()
    assert set("".join(card.locator(".words").all_text_contents())) <= set("가나다라")


def test_nothing_leaves_the_browser(visiting: Callable[..., Any], exported: Path) -> None:
    """Not even from the worker, which hears everything: the policy of the page holds for it too."""
    with visiting(exported, expected="Content Security Policy") as visit:
        visit.page.locator("html[data-ready]").wait_for()
        (worker,) = visit.page.workers
        sending = "fetch('http://127.0.0.1:9/').then(() => 'sent', (error) => error.message)"
        for place in (visit.page, worker):
            assert "Failed to fetch" in place.evaluate(sending)
        violations = [one for one in visit.complaints if "violates" in one]
        assert len(violations) == 2


def test_a_folder_that_is_not_whole_is_told_once(
    visiting: Callable[..., Any], exported: Path, recordings: dict[str, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(exported, tmp_path / "copy")
    (folder / "speller.onnx").unlink()
    with visiting(folder, expected="404") as visit:
        alert = visit.page.locator(".start [role=alert]")
        alert.wait_for()
        assert "모델을 불러오지 못했습니다" in alert.inner_text()
        assert "모델을 불러오지 못했습니다" in visit.card(recordings["short"]).inner_text()


def test_on_a_small_screen_in_english(
    visiting: Callable[..., Any], exported: Path, recordings: dict[str, Path]
) -> None:
    with visiting(exported, viewport={"width": 390, "height": 844}, locale="en-US") as visit:
        visit.card(recordings["quiet"])
        assert visit.page.evaluate("document.documentElement.scrollWidth") == 390
        assert visit.announced == "quiet.wav: recognised"
        for scheme in ("light", "dark"):
            visit.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            found = axe.Axe().run(visit.page).response["violations"]
            assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []
        visit.page.get_by_role("button", name="한국어").click()
        assert visit.page.get_by_role("heading", level=1).inner_text() == "말하면, 글이 됩니다"
