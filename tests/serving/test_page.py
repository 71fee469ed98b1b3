"""The page in a real browser, which is Debian's Chromium, with a real server."""

import base64
import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from helpers import tones
from helpers.processes import wait_until
from helpers.servers import Server, serving

from sorigeul import Recognizer
from sorigeul.serving import page_routes
from sorigeul.sound.audio import SAMPLE_RATE, Samples
from sorigeul.training.run import train

api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install '.[dev]'")
axe = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="needs axe: pip install '.[dev]'"
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
EXAMPLE = Path(page_routes.__file__).with_name("page") / "example.mp3"
ALLOW = "--use-fake-ui-for-media-stream"  # as if a person had pressed the button
WAIT = 120_000  # milliseconds; other tests run at the same time
Browse = Callable[..., Any]


@pytest.fixture(scope="module")
def spoken() -> Samples:
    """What the microphone hears: a segment that lasts, and a short one."""
    pause = np.zeros(SAMPLE_RATE, np.float32)
    texts = ("가나다라라나다가나다가라", "가나다라")
    return np.concatenate([part for text in texts for part in (tones.synthesize(text), pause)])


def hearing(path: Path, samples: Samples) -> tuple[str, ...]:
    """Flags for a browser whose microphone hears `samples`, kept at `path`, again and again."""
    # At a rate of real devices, since the browser itself resamples others, and not well.
    soundfile.write(path, soxr.resample(samples, SAMPLE_RATE, 48_000), 48_000)
    device = "--use-fake-device-for-media-stream"
    return (ALLOW, device, f"--use-file-for-fake-audio-capture={path}")


@pytest.fixture(scope="module")
def browse(
    server: Server, spoken: Samples, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """Launches browsers, the same one for the same flags; by default `spoken` is heard once.

    `anew`: a microphone that another page may still hear would go on where it is.
    """
    if CHROMIUM is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    *flags, file = hearing(tmp_path_factory.mktemp("microphone") / "spoken.wav", spoken)
    once = (*flags, f"{file}%noloop")
    running: dict[tuple[str, ...], Any] = {}
    with api.sync_playwright() as playwright:

        def launch(flags: tuple[str, ...] = once, anew: bool = False) -> Any:
            if anew and flags in running:
                running.pop(flags).close()
            if flags not in running:
                # Chromium's sandbox needs what containers and root do not have.
                arguments = ["--no-sandbox", "--mute-audio", *flags]
                running[flags] = playwright.chromium.launch(
                    executable_path=CHROMIUM, args=arguments
                )
            return running[flags]

        yield launch
        for browser in running.values():
            browser.close()


class Visit:
    """A page that is open, with what it complained of and what it asked for."""

    def __init__(self, browser: Any, url: str, **options: Any) -> None:
        settings = {"locale": "ko-KR", "viewport": {"width": 1280, "height": 900}} | options
        self.context = browser.new_context(accept_downloads=True, **settings)
        self.context.set_default_timeout(WAIT)
        self.page = self.context.new_page()
        self.url = url
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(url)

    def button(self, name: str | re.Pattern[str]) -> Any:
        return self.page.get_by_role("button", name=name)

    def add(self, *files: str | Path | dict[str, Any]) -> None:
        self.page.locator("input[type=file]").set_input_files(list(files))

    def wait_for_done(self, count: int = 1) -> None:
        self.page.locator(".card.done").nth(count - 1).wait_for()

    def lines(self, card: Any = None) -> list[str]:
        """The text of each segment, drawn already or not (`content-visibility`)."""
        within = self.page if card is None else card
        return [" ".join(text.split()) for text in within.locator(".words").all_text_contents()]

    def downloaded(self, name: str, folder: Path) -> Path:
        with self.page.expect_download() as download:
            self.button(name).click()
        path = folder / download.value.suggested_filename
        download.value.save_as(path)
        return path

    def serious_faults(self) -> list[str]:
        """What axe-core finds that hinders people."""
        found = axe.Axe().run(self.page).response["violations"]
        return [
            f"{fault['id']}: {node['html']}"
            for fault in found
            if fault["impact"] in ("serious", "critical")
            for node in fault["nodes"]
        ]

    def width(self) -> int:
        return int(self.page.evaluate("document.documentElement.scrollWidth"))


@pytest.fixture
def visiting(browse: Browse, server: Server) -> Callable[..., Any]:
    """Opens the page. At the end it must not have complained, or asked for anything elsewhere.

    `refused`: the status that the server answers to some request of the test, which browsers log.
    """

    @contextmanager
    def visit(
        url: str = server.url,
        flags: tuple[str, ...] | None = None,
        refused: str = "",
        anew: bool = False,
        **options: Any,
    ) -> Iterator[Visit]:
        browser = browse(anew=anew) if flags is None else browse(flags)
        visit = Visit(browser, url, **options)
        try:
            yield visit
        finally:
            visit.context.close()  # and with it the microphone
        own = (f"{url}/", f"{url.replace('http', 'ws')}/", "blob:")
        assert [one for one in visit.requests if not one.startswith(own)] == []
        expected = [f"responded with a status of {refused}"] if refused else []
        if url.startswith("http://page.test"):
            expected.append("Cross-Origin-Opener-Policy header has been ignored")
        complaints = [one for one in visit.complaints if not any(part in one for part in expected)]
        assert complaints == []

    return visit


def upload(name: str, content: bytes) -> dict[str, Any]:
    """A file that is chosen."""
    return {"name": name, "mimeType": "audio/wav", "buffer": content}


# Files


def test_the_example_is_written_and_its_words_are_lit_as_they_are_spoken(
    visiting: Callable[..., Any], recognizer: Recognizer
) -> None:
    expected = recognizer.transcribe(EXAMPLE)
    with visiting() as visit:
        visit.page.evaluate(
            """() => {
                BaseAudioContext.prototype.decodeAudioData = () => {
                    throw new Error("the peaks come from the server");
                };
            }"""
        )
        visit.button("예시 들어 보기").click()
        visit.wait_for_done()
        assert visit.lines() == [each.text for each in expected.segments if each.text]
        slider = visit.page.get_by_role("slider", name="재생 위치")
        assert wait_until(lambda: slider.get_attribute("aria-valuetext") == "0:00, 전체 0:12")
        canvases = visit.page.locator(".waveform canvas")  # drawn anew whenever there is more of it
        widths = "all => all.reduce((sum, one) => sum + one.getBoundingClientRect().width, 0)"
        assert wait_until(lambda: canvases.evaluate_all(widths) > 300)

        word = visit.page.locator(".segment").nth(1).locator(".word").first
        word.click()
        assert wait_until(lambda: "lit" in word.get_attribute("class"))
        assert wait_until(lambda: visit.page.locator(".lit").count() == 1)
        start = next(each for each in expected.segments[1:] if each.text).words[0].start
        assert wait_until(lambda: slider.get_attribute("aria-valuenow") == str(int(start)))

        visit.page.locator(".segment .time").first.click()
        visit.button("멈춤").wait_for()
        visit.page.locator(".segment").first.locator(".lit").wait_for()
        visit.button("멈춤").click()
        visit.button("재생").first.wait_for()


def test_a_file_that_is_dropped_on_the_page_is_written(
    visiting: Callable[..., Any], recognizer: Recognizer, wav: bytes
) -> None:
    with visiting() as visit:
        transfer = visit.page.evaluate_handle(
            """(content) => {
                const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
                const transfer = new DataTransfer();
                transfer.items.add(new File([bytes], "떨어뜨린 파일.wav"));
                return transfer;
            }""",
            base64.b64encode(wav).decode(),
        )
        visit.page.dispatch_event("body", "dragover", {"dataTransfer": transfer})
        visit.page.get_by_text("여기에 놓으세요").wait_for()
        visit.page.dispatch_event("body", "drop", {"dataTransfer": transfer})
        visit.wait_for_done()
        assert visit.page.get_by_text("여기에 놓으세요").count() == 0
        assert visit.page.locator(".name").inner_text() == "떨어뜨린 파일.wav"
        assert " ".join(visit.lines()) == recognizer.transcribe(wav).text


def test_a_bad_file_among_ten_does_not_stop_the_others(
    visiting: Callable[..., Any], recognizer: Recognizer, audio: Path, tmp_path: Path
) -> None:
    files = sorted(audio.glob("*.wav"))[:9]
    memo = tmp_path / "메모.wav"
    memo.write_text("not a sound\n" * 100, encoding="utf-8")
    with visiting(refused="400") as visit:
        visit.add(*files[:4], memo, *files[4:])
        visit.wait_for_done(9)
        cards = visit.page.locator("article")
        assert cards.count() == 10
        bad = visit.page.locator("article.failed")
        assert bad.locator(".name").inner_text() == "메모.wav"
        assert "소리를 읽지 못했습니다" in bad.inner_text()
        for path in (files[0], files[8]):
            card = cards.filter(has_text=path.name)
            toggle = card.get_by_role("button", name=path.name, exact=True)
            if toggle.get_attribute("aria-expanded") == "false":
                toggle.click()
            card.locator(".words").first.wait_for()
            assert " ".join(visit.lines(card)) == recognizer.transcribe(path).text


def test_a_server_that_is_busy_is_asked_again(visiting: Callable[..., Any], wav: bytes) -> None:
    with visiting(refused="429") as visit:
        answers = iter([{"status": 429, "headers": {"retry-after": "1"}, "body": "{}"}])

        def refuse_once(route: Any) -> None:
            answer = next(answers, None)
            route.fulfill(**answer) if answer else route.continue_()

        visit.page.route("**/v1/audio/transcriptions", refuse_once)
        visit.add(upload("a.wav", wav))
        visit.page.get_by_text("서버가 바쁩니다").wait_for()
        visit.wait_for_done()


def test_what_is_removed_makes_room_for_the_next(
    visiting: Callable[..., Any], wav: bytes, long_wav: bytes
) -> None:
    with visiting() as visit:
        visit.add(*(upload(f"{number}.wav", long_wav) for number in range(2)))
        for number in range(2):
            visit.page.locator(".card.recognizing", has_text=f"{number}.wav").wait_for()
        visit.add(upload("next.wav", wav))
        visit.page.locator(".card.waiting", has_text="next.wav").wait_for()
        for number in range(2):
            visit.button(f"{number}.wav 지우기").click()
        visit.wait_for_done()
        assert visit.page.locator(".name").all_inner_texts() == ["next.wav"]


def test_the_terms_and_the_model_that_are_chosen_are_sent(
    visiting: Callable[..., Any], wav: bytes
) -> None:
    with visiting() as visit:
        visit.page.locator("summary").click()
        visit.page.get_by_label("모델").select_option("second")
        visit.page.get_by_label("자주 나오는 용어").fill("가나, 다라\n나가")
        visit.page.evaluate(
            """() => {
                const { append } = FormData.prototype;
                window.sent = [];
                FormData.prototype.append = function (name, value, ...rest) {
                    window.sent.push([name, String(value)]);
                    append.call(this, name, value, ...rest);
                };
            }"""
        )
        visit.add(upload("a.wav", wav))
        visit.wait_for_done()
        sent = visit.page.evaluate("window.sent")
        assert [value for name, value in sent if name == "keywords[]"] == ["가나", "다라", "나가"]
        assert [value for name, value in sent if name == "model"] == ["second"]
        assert visit.page.locator("summary").inner_text() == "설정 · second · 용어 3개"


# The text


def test_the_edited_text_is_what_is_copied_and_downloaded(
    visiting: Callable[..., Any], wav: bytes, tmp_path: Path
) -> None:
    with visiting(permissions=["clipboard-read", "clipboard-write"]) as visit:
        visit.add(upload("회의.wav", wav))
        visit.wait_for_done()
        rest = visit.lines()[1:]
        visit.page.locator(".words").first.dblclick()
        editor = visit.page.get_by_role("textbox", name="0:00의 글 고치기")
        editor.fill("고친 글 & <태그>")
        editor.press("Enter")
        assert visit.lines() == ["고친 글 & <태그>", *rest]

        text = "".join(f"{line}\n" for line in visit.lines())
        assert visit.downloaded("txt 파일로 내려받기", tmp_path).read_text("utf-8") == text
        visit.button("복사").click()
        visit.button("복사했습니다").wait_for()
        assert visit.page.evaluate("navigator.clipboard.readText()") == text
        content = json.loads(visit.downloaded("json 파일로 내려받기", tmp_path).read_text("utf-8"))
        assert content["text"] == " ".join(visit.lines())
        assert [one["edited"] for one in content["segments"]] == [True] + [False] * len(rest)
        assert [one["word"] for one in content["segments"][0]["words"]] == [
            "고친",
            "글",
            "&",
            "<태그>",
        ]
        srt = visit.downloaded("srt 파일로 내려받기", tmp_path)
        assert srt.name == "회의.srt"
        times = r"\d\d:\d\d:\d\d,\d{3} --> \d\d:\d\d:\d\d,\d{3}\n"
        assert re.match(rf"1\n{times}고친 글 & <태그>\n\n2\n", srt.read_text("utf-8"))
        vtt = visit.downloaded("vtt 파일로 내려받기", tmp_path).read_text("utf-8")
        assert vtt.startswith("WEBVTT\n\n00:00:0")
        assert "고친 글 &amp; &lt;태그&gt;\n" in vtt


def test_an_edit_can_be_cancelled_and_counts_as_it_is_typed(
    visiting: Callable[..., Any], wav: bytes
) -> None:
    with visiting() as visit:
        visit.add(upload("a.wav", wav))
        visit.wait_for_done()
        first, *rest = visit.lines()
        visit.page.locator(".words").first.dblclick()
        visit.page.keyboard.type(" 아니다")
        visit.page.keyboard.press("Escape")
        assert visit.lines() == [first, *rest]
        visit.page.locator(".words").first.dblclick()
        visit.page.keyboard.type(" 취소한다")
        visit.button("취소").click()
        assert visit.lines() == [first, *rest]
        visit.page.locator(".words").first.dblclick()
        visit.page.keyboard.type(" 그렇다")
        visit.button("복사").click()  # while the editor is open
        visit.button("복사했습니다").wait_for()
        visit.page.keyboard.press("Tab")
        visit.button("저장").click()
        assert visit.lines() == [f"{first} 그렇다", *rest]


def test_the_words_of_a_corrected_text_stay_within_the_times_of_the_old_ones(
    visiting: Callable[..., Any],
) -> None:
    words = [
        {"word": word, "start": 1.0 + index, "end": 1.8 + index, "confidence": 0.9}
        for index, word in enumerate(["가", "나", "다", "라"])
    ]
    texts = [
        "가 나 다 라",
        "가 새 말 다 라",
        "앞 가 나 다 라 뒤",
        "",
        "모두 다른 말",
        "라 다 나 가",
    ]
    with visiting() as visit:
        for text in texts:
            timed = visit.page.evaluate(
                """async ([words, text]) => {
                    const page = document.querySelector("script").src;
                    const { retime } = await import(new URL("timing.js", page));
                    return retime(words, text, 0.8, 5);
                }""",
                [words, text],
            )
            assert [one["word"] for one in timed] == text.split()
            edges = [edge for one in timed for edge in (one["start"], one["end"])]
            assert edges == sorted(edges)
            assert all(0.8 <= edge <= 5 for edge in edges)
            if text.startswith("가 새 말"):
                assert [one["confidence"] for one in timed] == [0.9, None, None, 0.9, 0.9]
                assert (timed[1]["start"], timed[2]["end"]) == (2.0, 2.8)


def test_subtitles_have_two_lines_of_twenty_characters_and_do_not_overlap(
    visiting: Callable[..., Any],
) -> None:
    words = [
        {"word": "가" * (1 + index % 6), "start": 0.4 * index, "end": 0.4 * index + 0.3}
        for index in range(60)
    ]
    with visiting() as visit:
        srt = visit.page.evaluate(
            """async (words) => {
                const page = document.querySelector("script").src;
                const { FORMATS } = await import(new URL("formats.js", page));
                return FORMATS.srt.write({ segments: [{ words }, { words: [] }] });
            }""",
            words,
        )
    blocks = [block.split("\n") for block in srt.strip().split("\n\n")]
    assert [block[0] for block in blocks] == [str(number + 1) for number in range(len(blocks))]
    assert " ".join(" ".join(block[2:]) for block in blocks) == " ".join(
        word["word"] for word in words
    )
    assert all(len(line) <= 20 for block in blocks for line in block[2:])
    assert all(len(block) <= 4 for block in blocks)
    times = [time for block in blocks for time in block[1].split(" --> ")]
    assert times == sorted(times)


def test_the_attention_is_drawn_when_it_is_asked_for(
    visiting: Callable[..., Any], recognizer: Recognizer, wav: bytes
) -> None:
    segment = recognizer.transcribe(wav).segments[0]
    with visiting() as visit:
        visit.add(upload("a.wav", wav))
        visit.wait_for_done()
        assert visit.page.locator(".attention").count() == 0
        visit.page.locator(".words").first.hover()
        visit.button("어텐션 보기 0:00").click()
        picture = visit.page.get_by_role("img", name=re.compile("각 글자가"))
        size = [picture.get_attribute(name) for name in ("height", "width")]
        assert size == [str(length) for length in segment.alignment.shape]
        assert visit.page.locator(".picture li").all_inner_texts() == segment.characters
        strongest = picture.evaluate(
            """(canvas) => {
                const { width, height } = canvas;
                const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
                const ink = data.filter((_, index) => index % 4 === 3);
                return Array.from({ length: height }, (_, row) => {
                    const inks = ink.slice(row * width, (row + 1) * width);
                    return inks.indexOf(Math.max(...inks));
                });
            }"""
        )
        assert strongest == segment.alignment.argmax(1).tolist()


# The microphone


def record(visit: Visit, spoken: Samples, recognizer: Recognizer, folder: Path) -> Path:
    """Record until everything has been said, and keep the sound.

    Chromium's microphone that plays a file is fed in time. On a machine that is too busy for that
    it hears nothing, and is asked again.
    """
    for _ in range(3):
        visit.button("녹음 시작").click()
        seconds = len(spoken) // SAMPLE_RATE + 2
        visit.page.locator(".clock", has_text=f"0:{seconds:02}").wait_for()
        visit.button("녹음 끝내기").click()
        visit.wait_for_done()
        sound = visit.downloaded("wav 파일로 내려받기", folder)
        if visit.lines() or recognizer.transcribe(sound).text:
            return sound
        visit.button(re.compile("지우기")).click()
    pytest.fail("the browser's microphone heard nothing, three times")


def record_until(visit: Visit, seen: Any) -> None:
    """Record until something is seen; a microphone that hears nothing is asked again (`record`)."""
    for _ in range(3):
        visit.button("녹음 시작").click()
        try:
            seen.wait_for(timeout=35_000)
            return
        except api.TimeoutError:
            visit.button("녹음 끝내기").click()
            visit.wait_for_done()
            visit.button(re.compile("지우기")).click()
    pytest.fail("nothing was seen of what the browser's microphone hears, three times")


def test_what_is_said_is_written_while_it_is_said(
    visiting: Callable[..., Any], tmp_path: Path
) -> None:
    # Long enough that even a machine that is late looks at it before it ends.
    speech = tones.synthesize("가나다라라나다가나다가라" * 4)
    heard = np.concatenate((speech, np.zeros(SAMPLE_RATE, np.float32)))
    with visiting(flags=hearing(tmp_path / "speech.wav", heard)) as visit:
        visit.page.evaluate(
            """() => {
                window.seen = new Set();
                const wanted = { subtree: true, childList: true, characterData: true };
                new MutationObserver(() => {
                    if (document.querySelector(".spoken em")?.innerText) {
                        seen.add(document.querySelector(".spoken small").innerText);
                    }
                }).observe(document.body, wanted);
            }"""
        )
        record_until(visit, visit.page.locator(".spoken em", has_text=re.compile("[가나다라]")))
        assert visit.page.title() == "● 듣고 있습니다 · 소리글"
        visit.page.locator(".live .words", has_text=re.compile("[가나다라]")).first.wait_for()
        visit.button("녹음 끝내기").click()
        visit.wait_for_done()
        assert visit.page.evaluate("[...window.seen]") == ["아직 바뀔 수 있음"]
        assert visit.page.locator(".spoken").count() == 0
        assert visit.page.title() == "소리글"


def test_a_recording_has_the_text_of_its_file_and_can_be_heard_and_kept(
    visiting: Callable[..., Any], recognizer: Recognizer, spoken: Samples, tmp_path: Path
) -> None:
    with visiting(anew=True) as visit:
        sound = record(visit, spoken, recognizer, tmp_path)
        heard = visit.lines()
        assert heard
        assert recognizer.transcribe(sound).text == " ".join(heard)
        assert soundfile.info(sound).samplerate == 24_000
        assert soundfile.info(sound).duration > len(spoken) / SAMPLE_RATE
        visit.page.locator(".segment .time").first.click()
        visit.page.locator(".lit").wait_for()
        visit.button("다시 인식").click()  # as a file, which has the attention too
        visit.button(re.compile("어텐션 보기")).first.wait_for(state="attached")
        visit.wait_for_done()
        assert " ".join(visit.lines()) == " ".join(heard)


def test_a_recording_in_which_nobody_speaks_can_be_kept(
    visiting: Callable[..., Any], tmp_path: Path
) -> None:
    silence = np.zeros(2 * SAMPLE_RATE, np.float32)
    with visiting(flags=hearing(tmp_path / "silence.wav", silence)) as visit:
        visit.button("녹음 시작").click()
        visit.page.locator(".clock", has_text="0:01").wait_for()
        visit.button("녹음 끝내기").click()
        visit.wait_for_done()
        assert soundfile.info(visit.downloaded("wav 파일로 내려받기", tmp_path)).duration > 1
        assert visit.button("srt 파일로 내려받기").count() == 0


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_what_a_device_of_any_rate_hears_is_brought_to_24_khz(
    visiting: Callable[..., Any], rate: int
) -> None:
    """The browser's own audio thread, fed with tones: one is heard, one is too high for 24 kHz."""
    heard, too_high, seconds = 5_000, 13_000, 2
    with visiting() as visit:
        samples = visit.page.evaluate(
            """async ([rate, tones, seconds]) => {
                const context = new OfflineAudioContext(1, seconds * rate, rate);
                const script = new URL("worklet.js", document.querySelector("script").src);
                await context.audioWorklet.addModule(script);
                const capture = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0 });
                const pieces = [];
                const ended = new Promise((resolve) => {
                    capture.port.onmessage = ({ data }) => (data ? pieces.push(data) : resolve());
                });
                for (const frequency of tones) {
                    const tone = new OscillatorNode(context, { frequency });
                    tone.connect(new GainNode(context, { gain: 0.4 })).connect(capture);
                    tone.start();
                }
                await context.startRendering();
                capture.port.postMessage("stop");
                await ended;
                return pieces.flatMap((piece) => Array.from(piece));
            }""",
            [rate, [tone for tone in (heard, too_high) if tone < rate / 2], seconds],
        )
    assert len(samples) == pytest.approx(24_000 * seconds, abs=128)  # it renders whole blocks
    middle = np.array(samples[12_000:36_000]) / 32_768  # a second: a bin for each hertz
    amplitudes = np.abs(np.fft.rfft(middle)) / len(middle) * 2
    assert amplitudes[heard] == pytest.approx(0.4, rel=0.01)
    assert np.delete(amplitudes, heard).max() < 0.004


def test_nothing_is_lost_where_speech_cannot_be_recognised_live(
    visiting: Callable[..., Any], recognizer: Recognizer, spoken: Samples, tmp_path: Path
) -> None:
    with visiting(anew=True) as visit:
        visit.page.route_web_socket(re.compile("realtime"), lambda socket: socket.close())
        sound = record(visit, spoken, recognizer, tmp_path)
        assert visit.lines()
        assert " ".join(visit.lines()) == recognizer.transcribe(sound).text


@pytest.mark.parametrize(
    ("flags", "host", "words"),
    [
        ((ALLOW,), "127.0.0.1", "마이크를 찾지 못했습니다"),
        (("--use-fake-device-for-media-stream", "--deny-permission-prompts"), "127.0.0.1", "허락"),
        (("--host-resolver-rules=MAP page.test 127.0.0.1",), "page.test", "보안 연결(https)"),
    ],
    ids=["missing", "refused", "insecure"],
)
def test_where_the_microphone_cannot_work_the_page_says_why_and_files_still_work(
    visiting: Callable[..., Any],
    server: Server,
    wav: bytes,
    flags: tuple[str, ...],
    host: str,
    words: str,
) -> None:
    with visiting(url=f"http://{host}:{server.port}", flags=flags) as visit:
        visit.button("녹음 시작").click()
        visit.page.get_by_role("alert").filter(has_text=words).wait_for()
        visit.add(upload("a.wav", wav))
        visit.wait_for_done()
        visit.button("복사").click()
        visit.button("복사했습니다").wait_for()


def test_a_server_that_wants_a_key_is_given_one(
    visiting: Callable[..., Any], run: Path, wav: bytes, tmp_path: Path
) -> None:
    keys = tmp_path / "keys.txt"
    keys.write_text("right-key\n", encoding="utf-8")
    with (
        serving(tmp_path, run, "--api_key", keys) as server,
        visiting(url=server.url, refused="401") as visit,
    ):
        dialog = visit.page.get_by_role("dialog", name="API 키가 필요합니다")
        for key in ("wrong-key", "right-key"):
            dialog.get_by_label("API 키").fill(key)
            dialog.get_by_role("button", name="확인").click()
        visit.page.get_by_text("설정 · tiny").wait_for()
        assert dialog.count() == 0
        visit.add(upload("a.wav", wav))
        visit.wait_for_done()
        with visit.page.expect_websocket() as socket:
            visit.button("녹음 시작").click()
        socket.value.wait_for_event("framereceived", lambda event: "session.updated" in event)
        visit.button("녹음 끝내기").click()
        visit.wait_for_done(2)


# For everybody


def test_it_speaks_the_language_of_the_browser_and_can_be_switched(
    visiting: Callable[..., Any],
) -> None:
    titles = {"ko": "말하면, 글이 됩니다", "en": "Speak, and it is written"}
    for locale, first, other in (("ko-KR", "ko", "en"), ("de-DE", "en", "ko")):
        with visiting(locale=locale) as visit:
            heading = visit.page.get_by_role("heading", level=1)
            assert heading.inner_text() == titles[first]
            visit.page.click(f".languages [lang={other}]")
            assert heading.inner_text() == titles[other]
            assert visit.page.evaluate("document.documentElement.lang") == other
            visit.page.reload()
            assert heading.inner_text() == titles[other]


def test_both_languages_say_the_same_things(visiting: Callable[..., Any]) -> None:
    source = (EXAMPLE.parent / "texts.js").read_text(encoding="utf-8")
    korean, english = re.findall(r"  \w\w: \{\n(.*?)\n  \},", source, re.DOTALL)
    shapes = [
        {
            name: set(re.findall(r"\{\w+\}", line))
            for name, line in re.findall(r"    (\w+): (.*)", one)
        }
        for one in (korean, english)
    ]
    assert len(shapes[0]) > 60
    assert shapes[0] == shapes[1]


def test_everything_can_be_done_with_the_keyboard(visiting: Callable[..., Any]) -> None:
    with visiting(viewport={"width": 1280, "height": 900}) as visit:
        keyboard = visit.page.keyboard

        def reach(name: str) -> None:
            """Go on with the tabulator until something with this name has the focus."""
            for _ in range(40):
                keyboard.press("Tab")
                focused = visit.page.evaluate(
                    "document.activeElement.ariaLabel || document.activeElement.innerText"
                )
                if name in (focused or "").strip():
                    return
            raise AssertionError(f"{name} is not reached")

        reach("예시 들어 보기")
        keyboard.press("Enter")
        visit.wait_for_done()
        first = visit.lines()[0]
        reach("재생 위치")
        keyboard.press("ArrowRight")
        slider = visit.page.get_by_role("slider")
        assert slider.get_attribute("aria-valuenow") == "2"
        keyboard.press("Home")
        reach(first)
        assert visit.page.get_by_text("← → 단어 이동").first.is_visible()
        keyboard.press("ArrowRight")
        assert visit.page.locator(".segment").first.locator(".lit").count() == 1
        keyboard.press("Enter")
        keyboard.type(" 더")
        keyboard.press("Enter")
        visit.page.locator(".words:focus", has_text=f"{first} 더").wait_for()
        reach("어텐션 보기")
        keyboard.press("Enter")
        assert visit.page.locator(".attention").count() == 1
        reach("txt 파일로 내려받기")
        with visit.page.expect_download():
            keyboard.press("Enter")


@pytest.mark.parametrize(
    ("scheme", "locale", "width"), [("light", "ko-KR", 1280), ("dark", "en-US", 390)]
)
def test_nothing_hinders_people_and_nothing_is_wider_than_the_screen(
    visiting: Callable[..., Any], wav: bytes, scheme: str, locale: str, width: int
) -> None:
    size = {"width": width, "height": 844}
    with visiting(
        viewport=size, color_scheme=scheme, locale=locale, refused="400", reduced_motion="reduce"
    ) as visit:
        assert visit.serious_faults() == []
        name = "아주 긴 이름의 회의 녹음 " * 8
        visit.add(upload(f"{name}.wav", wav), upload("bad.wav", b"bad"))
        visit.wait_for_done()
        visit.page.locator(".card.failed h2 button").click()
        visit.page.locator("summary").click()
        visit.page.locator(".words").first.click()
        visit.page.locator(".tool[aria-expanded]").first.click()
        visit.page.locator(".words").nth(1).dblclick()
        assert visit.serious_faults() == []
        for narrow in (320, 390, width):
            visit.page.set_viewport_size({"width": narrow, "height": 844})
            assert visit.width() <= narrow
        visit.page.locator(".record").click()
        visit.page.locator(".live .clock", has_text="0:02").wait_for()
        assert visit.serious_faults() == []
        assert visit.width() <= width
        visit.page.locator(".record").click()
        visit.wait_for_done(2)


def test_what_may_be_wrong_is_marked_by_more_than_colour(
    visiting: Callable[..., Any], corpus: Path, wav: bytes, tmp_path: Path
) -> None:
    """After one epoch the model is unsure of what it writes."""
    run = tmp_path / "unsure"
    train(corpus, run, tones.STURDY.changed({"max_epochs": 1}, "test"))
    recognizer = Recognizer.from_pretrained(run, "cpu")
    segments = [one for one in recognizer.transcribe(wav).segments if one.text]
    low = [word.word for one in segments for word in one.words if round(word.confidence, 4) < 0.5]
    doubtful = [one for one in segments if one.doubtful]
    assert low
    assert doubtful
    with serving(tmp_path / "server", run) as server, visiting(server.url) as visit:
        visit.add(upload("a.wav", wav))
        visit.wait_for_done()
        marked = visit.page.locator(".word.low")
        assert marked.all_inner_texts() == low
        line = marked.first.evaluate("(word) => getComputedStyle(word).textDecorationStyle")
        assert line == "dotted"
        assert re.match(r"확신 \d+%", marked.first.get_attribute("title"))
        assert visit.page.get_by_text("확신이 낮은 말:").count() > 0
        assert visit.page.locator(".segment .flag", has_text="확인 필요").count() == len(doubtful)
        assert f"확인할 곳 {len(doubtful)}" in visit.page.locator(".facts").inner_text()
        assert "점선 밑줄 확신이 낮은 말" in visit.page.locator(".legend").inner_text()
        visit.page.locator(".waveform [part^=region]").nth(len(doubtful) - 1).wait_for()


def test_a_screen_reader_is_told_what_happens(visiting: Callable[..., Any], wav: bytes) -> None:
    with visiting() as visit:
        visit.add(upload("a.wav", wav))
        visit.wait_for_done()
        status = visit.page.get_by_role("status")
        assert status.inner_text() == "a.wav: 글로 옮겼습니다"
        visit.button("a.wav 지우기").click()
        assert status.inner_text() == "a.wav을(를) 지웠습니다"
        visit.button("녹음 시작").click()
        visit.page.get_by_role("log").wait_for(state="attached")
        visit.button("녹음 끝내기").click()
        visit.wait_for_done()
