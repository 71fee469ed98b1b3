"""The voices of the demo corpus."""

from sorigeul.synthesis.espeak import Synthesizer
from sorigeul.synthesis.voices import VOICES


def test_every_voice_sounds_different(synthesizer: Synthesizer) -> None:
    voices = [voice for split in VOICES.values() for voice in split]
    spoken = {synthesizer.speak("안녕하세요", voice, 200, 50, 50).tobytes() for voice in voices}
    assert len(spoken) == len(voices) == len(set(voices)) >= 60
