"""When speech begins and ends, as clients may ask for it: OpenAI's `server_vad`."""

from dataclasses import dataclass, replace

from sorigeul.sound.segments import SegmentLimits

THRESHOLDS = (0.2, 0.95)
PADDINGS = (0.0, 1000.0)
"""milliseconds"""
PAUSES = (100.0, 5000.0)
"""milliseconds"""


@dataclass(frozen=True)
class VoiceDetection:
    """The settings of `server_vad`, within the ranges above."""

    threshold: float
    """probability from which a sound is speech"""
    prefix_padding_ms: int
    """milliseconds kept before speech"""
    silence_duration_ms: int
    """a longer pause, in milliseconds, ends speech"""

    @classmethod
    def of(cls, limits: SegmentLimits) -> "VoiceDetection":
        """The same as a model has it for files."""
        padding, pause = (round(1000 * each) for each in (limits.padding, limits.max_pause))
        return cls(limits.threshold, padding, pause)

    def limits(self, limits: SegmentLimits) -> SegmentLimits:
        """The limits of a model, with these. Raises UserError for values that make no sense."""
        return replace(
            limits,
            threshold=self.threshold,
            padding=self.prefix_padding_ms / 1000,
            max_pause=self.silence_duration_ms / 1000,
        )
