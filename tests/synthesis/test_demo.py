"""The demo corpus: numbers read aloud, voices that differ, the same bytes every time."""

import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import soundfile

from sorigeul.base.errors import UserError
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.utterances import Layout, Utterance
from sorigeul.synthesis.demo import read
from sorigeul.synthesis.espeak import Synthesizer
from sorigeul.synthesis.script import Line, script
from sorigeul.synthesis.sentences import (
    LONGEST,
    SHORTEST,
    clock,
    date,
    digits,
    native,
    sentence,
    sino,
    with_particle,
)
from sorigeul.synthesis.voices import VOICES

UTTERANCES = 160


@pytest.fixture(scope="module")
def synthesizer() -> Iterator[Synthesizer]:
    pytest.importorskip("espeakng_loader")
    with Synthesizer() as synthesizer:
        yield synthesizer


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> list[Utterance]:
    pytest.importorskip("espeakng_loader")
    return synthesise(tmp_path_factory.mktemp("demo"), UTTERANCES)


def synthesise(out: Path, utterances: int, **options: Any) -> list[Utterance]:
    layout, *items = read(None, out, PrepareOptions(utterances=utterances, **options))
    assert isinstance(layout, Layout)
    return [item for item in items if isinstance(item, Utterance)]


def draw(**options: Any) -> list[Line]:
    return list(script(PrepareOptions(**options)))


@pytest.mark.parametrize(
    ("number", "reading"),
    [
        (0, "영"),
        (1, "일"),
        (10, "십"),
        (11, "십일"),
        (21, "이십일"),
        (100, "백"),
        (110, "백십"),
        (206, "이백육"),
        (1_000, "천"),
        (1_999, "천구백구십구"),
        (2_024, "이천이십사"),
        (10_000, "만"),
        (11_000, "만 천"),
        (12_500, "만 이천오백"),
        (20_001, "이만 일"),
        (110_000, "십일만"),
        (365_000, "삼십육만 오천"),
        (10_000_000, "천만"),
        (99_999_999, "구천구백구십구만 구천구백구십구"),
    ],
)
def test_sino_korean_numbers(number: int, reading: str) -> None:
    assert sino(number) == reading


def test_every_number_has_a_reading_of_its_own() -> None:
    assert len({sino(number) for number in range(120_000)}) == 120_000
    assert len({native(number) for number in range(1, 100)}) == 99


@pytest.mark.parametrize(
    ("number", "reading"),
    [
        *(
            (1, "한"),
            (2, "두"),
            (3, "세"),
            (4, "네"),
            (5, "다섯"),
            (6, "여섯"),
            (7, "일곱"),
            (8, "여덟"),
        ),
        *((9, "아홉"), (10, "열"), (11, "열한"), (12, "열두")),
        *((20, "스무"), (21, "스물한"), (35, "서른다섯"), (44, "마흔네"), (58, "쉰여덟")),
        *((60, "예순"), (72, "일흔두"), (86, "여든여섯"), (99, "아흔아홉")),
    ],
)
def test_native_numbers_before_a_counter(number: int, reading: str) -> None:
    assert native(number) == reading


@pytest.mark.parametrize(
    ("hour", "minute", "reading"),
    [
        (15, 20, "오후 세 시 이십 분"),
        (9, 30, "오전 아홉 시 반"),
        (12, 0, "오후 열두 시"),
        (0, 5, "오전 열두 시 오 분"),
    ],
)
def test_times_of_day(hour: int, minute: int, reading: str) -> None:
    assert clock(hour, minute) == reading


def test_dates_telephone_numbers_and_particles() -> None:
    assert [date(6, 25), date(10, 3)] == ["유월 이십오 일", "시월 삼 일"]
    assert [date(1, 1), date(12, 10)] == ["일월 일 일", "십이월 십 일"]
    assert digits("010-2345-6789") == "공일공 이삼사오 육칠팔구"
    assert with_particle("친구", "과", "와") == "친구와"
    assert with_particle("동생", "과", "와") == "동생과"


@pytest.mark.parametrize(
    "call", [lambda: sino(-1), lambda: sino(10**8), lambda: native(0), lambda: native(100)]
)
def test_numbers_without_a_reading_are_refused(call) -> None:
    with pytest.raises(ValueError, match="reading"):
        call()


@pytest.mark.parametrize("call", [lambda: clock(24, 0), lambda: clock(1, 60), lambda: date(13, 1)])
def test_impossible_times_are_refused(call) -> None:
    with pytest.raises(ValueError, match="no such"):
        call()


def test_sentences_are_hangul_of_the_stated_length_and_rarely_repeat() -> None:
    sentences = [sentence(Random(number)) for number in range(3000)]
    for text in sentences:
        assert re.fullmatch(r"[가-힣]+( [가-힣]+)*", text), text
        assert SHORTEST <= len(text.replace(" ", "")) <= LONGEST, text
    assert len(set(sentences)) > 0.85 * len(sentences)
    assert "만 만" not in " ".join(sentences)


def test_the_default_script_is_learnable_and_honest() -> None:
    lines = draw()
    by_split = {split: [x for x in lines if x.split == split] for split in VOICES}
    assert [len(by_split[split]) for split in ("train", "dev", "test")] == [2550, 150, 300]
    known = Counter("".join(line.text for line in by_split["train"]))
    assert len(known) < 250
    for split in ("dev", "test"):
        assert min(known[c] for line in by_split[split] for c in line.text) >= 3
    assert len({line.text for line in lines}) == len(lines)
    assert len({line.id for line in lines}) == len(lines)
    speakers = {split: {line.voice for line in by_split[split]} for split in by_split}
    assert {split: set(names) for split, names in VOICES.items()} == speakers
    assert sum(map(len, speakers.values())) == len(set.union(*speakers.values()))


def test_no_split_holds_a_sentence_that_another_seed_deals_to_another_split() -> None:
    train = {line.text for line in draw(utterances=1000, seed=1) if line.split == "train"}
    held = {line.text for line in draw(utterances=1000, seed=2) if line.split != "train"}
    assert not train & held


def test_scripts_depend_on_the_seed_alone() -> None:
    assert draw(utterances=300, seed=5) == draw(utterances=300, seed=5)
    assert draw(utterances=300, seed=5) != draw(utterances=300, seed=6)
    assert draw(utterances=600, seed=5)[:255] == draw(utterances=300, seed=5)[:255]


@pytest.mark.parametrize("utterances", [1, 20])
def test_too_small_a_corpus_is_refused(utterances: int) -> None:
    with pytest.raises(UserError, match=r"too few utterances: .* ask for 100 or more"):
        draw(utterances=utterances)


def test_audio_is_16_khz_mono_within_the_scale_and_not_silent(corpus: list[Utterance]) -> None:
    assert len(corpus) == UTTERANCES
    for utterance in corpus:
        info = soundfile.info(utterance.audio)
        assert (info.samplerate, info.channels, info.subtype) == (16_000, 1, "PCM_16")
        samples, _ = soundfile.read(utterance.audio)
        assert 0.09 < np.abs(samples).max() < 0.9
        assert np.sqrt(np.mean(samples**2)) > 0.005
        syllables = len(utterance.text.replace(" ", ""))
        assert 0.08 < info.duration / syllables < 0.35, utterance
        assert utterance.audio.parent.name == utterance.speaker
    durations = [soundfile.info(utterance.audio).duration for utterance in corpus]
    assert 2 < np.mean(durations) < 3


def test_silence_around_the_speech_is_short(corpus: list[Utterance]) -> None:
    for utterance in corpus:
        samples, rate = soundfile.read(utterance.audio)
        frames = samples[: len(samples) // 160 * 160].reshape(-1, 160)
        loud = np.flatnonzero(np.abs(frames).max(1) > 0.2 * np.abs(samples).max()) * 160 / rate
        assert 0.07 < loud[0] < 0.5, utterance
        assert 0.07 < len(samples) / rate - loud[-1] < 0.8, utterance


def test_the_same_options_give_the_same_bytes(corpus: list[Utterance], tmp_path: Path) -> None:
    again = synthesise(tmp_path, UTTERANCES)
    assert [(x.id, x.text) for x in again] == [(x.id, x.text) for x in corpus]
    for first, second in zip(corpus, again, strict=True):
        assert first.audio.read_bytes() == second.audio.read_bytes(), first.id


def test_what_was_said_before_changes_nothing(synthesizer: Synthesizer) -> None:
    def speak(voice: str) -> bytes:
        return synthesizer.speak("오늘 날씨가 좋아요", voice, 200, 50, 50).tobytes()

    voices = ["f1", "f3", "victor", "klatt5", "m1"]  # flutter, breath, another engine
    first = {voice: speak(voice) for voice in voices}
    time.sleep(1.1)  # the library seeds its noise by the second, were it left to
    assert {voice: speak(voice) for voice in reversed(voices)} == first


def test_every_voice_is_a_voice_of_its_own(synthesizer: Synthesizer) -> None:
    names = [name for split in VOICES.values() for name in split]
    said = {synthesizer.speak("안녕하세요", name, 200, 50, 50).tobytes() for name in names}
    assert len(said) == len(names) == len(set(names)) >= 60


def test_rate_and_pitch_are_heard(synthesizer: Synthesizer) -> None:
    slow = synthesizer.speak("안녕하세요 반갑습니다", "m1", 150, 50, 50)
    fast = synthesizer.speak("안녕하세요 반갑습니다", "m1", 250, 50, 50)
    high = synthesizer.speak("안녕하세요 반갑습니다", "m1", 150, 80, 50)
    assert len(fast) < 0.8 * len(slow)
    assert not np.array_equal(high[:8000], slow[:8000])


@pytest.mark.parametrize("voice", ["nobody", "", "F1"])
def test_an_unknown_voice_is_refused(synthesizer: Synthesizer, voice: str) -> None:
    with pytest.raises(UserError, match=rf"voice '{voice}': unknown; choose one of .*f1"):
        synthesizer.speak("안녕하세요", voice, 200, 50, 50)
    assert synthesizer.speak("안녕하세요", "f1", 200, 50, 50).size  # and the next one works


def test_a_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="reads no source"):
        next(read(tmp_path, tmp_path / "out", PrepareOptions()))


def test_without_the_package_the_remedy_is_told(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['espeakng_loader'] = None\n"
        "from pathlib import Path\n"
        "from sorigeul.synthesis.demo import read\n"
        "from sorigeul.corpora.options import PrepareOptions\n"
        "from sorigeul.base.errors import UserError\n"
        "try:\n"
        "    next(read(None, Path(sys.argv[1]), PrepareOptions()))\n"
        "except UserError as error:\n"
        "    print(error)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip().endswith("pip install 'sorigeul[demo]'")
    assert not list(tmp_path.iterdir())
