"""An uploaded recording without a request around it."""

import asyncio

import pytest

from sorigeul import Recognizer
from sorigeul.base.errors import UserError
from sorigeul.serving.metrics import Metrics
from sorigeul.serving.models import serve_models
from sorigeul.serving.upload_transcription import HearingOptions, UploadTranscription
from sorigeul.serving.voice_detection import VoiceDetection


def test_a_fault_before_the_recording_is_opened_reaches_whoever_waits(
    recognizer: Recognizer, wav: bytes
) -> None:
    model = serve_models({"tiny": recognizer}, Metrics())["tiny"]
    options = HearingOptions(60.0, detection=VoiceDetection(2.0, 0, 500))  # no probability
    work = UploadTranscription(wav, model, options)

    async def first() -> None:
        await asyncio.wait_for(anext(work.segments()), 60)

    with pytest.raises(UserError, match="threshold is 2"):
        asyncio.run(first())
    model.queue.stop()
