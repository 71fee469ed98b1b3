"""Evaluations of a model, as `sorigeul evaluate --json` left them in its folder.

Does not compute anything. What is of another model is left out, and said.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sorigeul.base.errors import UserError
from sorigeul.base.records import build, read_object
from sorigeul.pretrained.description import model_checksum

log = logging.getLogger(__name__)

RATES = ("crr", "cer", "cer_no_space", "wer")


@dataclass(frozen=True)
class StoredEvaluation:
    """How good a model was on a corpus, and what that was measured with."""

    checksum: str
    """what `model_checksum` gave for the model"""
    precision: str
    data: str
    """name of the folder of the corpus"""
    corpora: tuple[str, ...]
    """what it was prepared from, by the names of `sorigeul prepare`; none if that is not known"""
    split: str
    utterances: int
    policy: str
    """name and version of the scoring policy"""
    search: str
    """in words"""
    rates: Mapping[str, float]
    """those of `RATES` in %"""
    intervals: Mapping[str, Sequence[float]]
    """their 95 % intervals; empty for too few utterances"""
    resampled: str
    """what the intervals would vary over: speakers or utterances"""

    def __post_init__(self) -> None:
        for values in ([self.rates[name] for name in RATES], *self.intervals.values()):
            if not all(isinstance(value, int | float) for value in values):
                raise ValueError(f"{values} are not numbers")
        if any(len(bounds) != 2 for bounds in self.intervals.values()):
            raise ValueError("an interval has not two ends")

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "StoredEvaluation":
        """From what `evaluate --json` writes of one model; ValueError if it is something else."""
        try:
            model, data = content["model"], content["data"]
            intervals = content["intervals"]
            values = {
                "checksum": model["checksum"],
                "precision": model["precision"],
                "data": data["name"],
                "corpora": data["corpora"],
                "split": data["split"],
                "utterances": content["utterances"],
                "policy": content["policy"],
                "search": _in_words(content["search"]),
                "rates": {name: float(content[name]) for name in RATES},
                "intervals": {
                    name: [float(bound) for bound in intervals[name]]
                    for name in RATES
                    if name in intervals
                },
                "resampled": content["resampled"]["unit"],
            }
        except (LookupError, TypeError, AttributeError) as error:
            raise ValueError(f"it says too little: {error}") from error
        return build(cls, values)


def evaluations_of(folder: Path, further: Sequence[Path] = ()) -> list[StoredEvaluation]:
    """The evaluations in the folder of a model, and in `further` files, that are of this model.

    Raises UserError if a file of `further` is no evaluation.
    """
    checksum = model_checksum(folder)
    evaluations: list[StoredEvaluation] = []
    for path in dict.fromkeys([*sorted(folder.glob("*.json")), *further]):
        try:
            systems = _systems(read_object(path))
        except (OSError, ValueError):
            systems = []
        if not systems and path in further:
            raise UserError(f"{path} is no evaluation: sorigeul evaluate RUN DATA --json FILE")
        try:
            read = [StoredEvaluation.from_json(system) for system in systems]
        except ValueError:
            log.warning("%s does not say which model it is of: left out; evaluate again", path)
            continue
        own = [one for one in read if one.checksum == checksum]
        if read and not own:
            log.warning("%s is of another model, or of an earlier epoch: left out", path)
        evaluations += [one for one in own if one not in evaluations]
    return sorted(evaluations, key=lambda one: (one.data, one.split, one.policy, one.search))


def _systems(content: dict[str, Any]) -> list[dict[str, Any]]:
    """What a file of `evaluate --json` holds: one model, or the two that were compared."""
    systems = content.get("systems", [content])
    if not isinstance(systems, list):
        return []
    return [one for one in systems if isinstance(one, dict) and {"crr", "policy"} <= one.keys()]


def _in_words(search: Mapping[str, Any]) -> str:
    """How was searched: "greedy", "beam 6, CTC 0.35, length bonus 0.8, LM news (0.3)"."""
    beam = int(search["beam"])
    parts = ["greedy" if beam == 1 else f"beam {beam}"]
    if beam > 1:
        parts += [f"CTC {search['ctc_weight']:g}", f"length bonus {search['length_bonus']:g}"]
    judges = zip(search["lm"], search["lm_weights"], strict=False)
    parts += [f"LM {name} ({weight:g})" for name, weight in judges]
    parts += [f"with {name}" for name in search["ensemble"]]
    if internal := search.get("internal_lm_weight"):
        parts.append(f"internal LM ({internal:g})")
    if coverage := search.get("coverage_weight"):
        parts.append(f"coverage ({coverage:g})")
    if search["rescore"]:
        weight = search.get("rescore_weight")  # earlier evaluations do not say
        parts.append(f"rescored by {search['rescore']}" + (f" ({weight:g})" if weight else ""))
    if search["terms"]:
        parts.append(f"expected terms ({search['term_weight']:g})")
    return ", ".join(parts)
