"""Makes the example recording of the server's page: `python tools/page_example.py`.

Spoken by eSpeak NG, whose output belongs to nobody. The voice is of the test split of the demo
corpus, so the model of the quick start has not heard it. MP3, which every browser plays.
"""

import io
from pathlib import Path

import numpy as np
import soundfile

from sorigeul.base.files import replacing
from sorigeul.sound.audio import SAMPLE_RATE
from sorigeul.synthesis.espeak import Synthesizer

EXAMPLE = Path(__file__).resolve().parent.parent / "sorigeul" / "serving" / "page" / "example.mp3"
VOICE, WORDS_PER_MINUTE, PITCH, PITCH_RANGE = "Annie", 190, 50, 50
SENTENCES = (
    "내일 서울에는 아침부터 바람이 불겠습니다",
    "지금 할머니와 식당에서 책을 읽고 있어요",
    "다음 주 수요일 오후 여덟 시 반에 병원에서 약속이 있어요",
)
PAUSE = 1.0  # seconds
NOISE = 0.0005  # amplitude; no recording is quite silent


def main() -> None:
    """Write the example."""
    pause = np.zeros(round(PAUSE * SAMPLE_RATE), np.float32)
    with Synthesizer() as synthesizer:
        pieces = [
            synthesizer.speak(text, VOICE, WORDS_PER_MINUTE, PITCH, PITCH_RANGE)
            for text in SENTENCES
        ]
    samples = np.concatenate([pause[: len(pause) // 2], *(np.append(one, pause) for one in pieces)])
    samples += NOISE * np.random.default_rng(0).standard_normal(len(samples)).astype(np.float32)
    encoded = io.BytesIO()
    soundfile.write(encoded, samples, SAMPLE_RATE, format="MP3")
    with replacing(EXAMPLE) as path:
        path.write_bytes(encoded.getvalue())
    print(f"{EXAMPLE.name}: {len(samples) / SAMPLE_RATE:.1f} s, {len(encoded.getvalue())} bytes")


if __name__ == "__main__":
    main()
