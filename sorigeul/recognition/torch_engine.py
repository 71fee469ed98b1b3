"""What computes a trained model with PyTorch: see `engines`."""

from collections.abc import Sequence

import torch
from torch import Tensor

from sorigeul.base.errors import UserError
from sorigeul.model.las import ListenerOutput
from sorigeul.pretrained.description import PretrainedModel
from sorigeul.search import inference
from sorigeul.sound.features import make_features
from sorigeul.sound.segments import SpeechSegment

_CPU_BATCH_SECONDS = 30.0  # more does not fit the caches
_GPU_BATCH_SECONDS = 600.0  # not measured


class TorchEngine:
    """Computes models with PyTorch, which can no longer be trained afterwards."""

    def __init__(self, members: Sequence[PretrainedModel], precision: str) -> None:
        """In int8, recurrent and linear layers are quantized. Raises UserError for it on a GPU."""
        self.device = next(members[0].model.parameters()).device
        on_cpu = self.device.type == "cpu"
        self.batch_seconds = _CPU_BATCH_SECONDS if on_cpu else _GPU_BATCH_SECONDS
        if precision == "int8" and not on_cpu:
            raise UserError("precision int8 is for a CPU: choose bfloat16 or float32 on a GPU")
        for member in members:
            if precision == "int8":
                inference.quantize(member.model)
            elif on_cpu:
                inference.optimize_layout(member.model)
        self._use_bfloat16 = precision == "bfloat16"
        self._models = [member.model for member in members]
        self.log_mels = [make_features(member.features).to(self.device) for member in members]

    def padded(self, batch: Sequence[SpeechSegment]) -> tuple[Tensor, Tensor]:
        """As `engines.Engine.padded`."""
        waveforms = torch.nn.utils.rnn.pad_sequence(
            [torch.from_numpy(speech.samples) for speech in batch], batch_first=True
        ).to(self.device)
        return waveforms, torch.tensor([len(one.samples) for one in batch], device=self.device)

    def encode(self, waveforms: Tensor, lengths: Tensor) -> list[ListenerOutput]:
        """As `engines.Engine.encode`."""
        pairs = zip(self._models, self.log_mels, strict=True)
        return [model.listen(*log_mel(waveforms, lengths)) for model, log_mel in pairs]

    def precision_context(self) -> torch.autocast:
        """As `engines.Engine.precision_context`."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self._use_bfloat16)


def find_device(device: torch.device | str | None) -> torch.device:
    """The device that is meant, by default a GPU if there is one.

    Raises UserError if there is no such device.
    """
    try:
        found = torch.device(device or default_device())
    except RuntimeError as error:
        raise UserError(f"there is no device {device}: give cpu or cuda") from error
    if found.type == "cuda" and not torch.cuda.is_available():
        raise UserError(f"PyTorch finds no GPU for the device {device}: give cpu")
    return found


def default_device() -> str:
    """A GPU if there is one, else the CPU."""
    return "cuda" if torch.cuda.is_available() else "cpu"
