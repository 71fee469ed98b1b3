"""Draw held-out splits by speaker or utterance, by seconds of speech."""

import random
from collections.abc import Mapping


def hold_out(
    seconds: Mapping[str, float], shares: Mapping[str, float], seed: int
) -> dict[str, str]:
    """Return which of the units (speakers, utterances) goes to which held-out split.

    ``seconds`` gives the speech of each unit, ``shares`` the part of the whole (0 to 1) that each
    split should come near to. Units not in the answer stay in train. The same for any order of
    ``seconds``. Each split gets at least one unit, and train keeps one, where there are enough.
    """
    left = sorted(seconds)
    random.Random(seed).shuffle(left)
    total = sum(seconds[unit] for unit in left)
    held: dict[str, str] = {}
    for number, (split, share) in enumerate(shares.items()):
        needed = len(shares) - number  # one unit for train, and one for each remaining split
        available = len(left) - needed
        chosen: dict[str, float] = {}
        missing = share * total
        for unit in left:
            if len(chosen) >= available:
                break
            if abs(missing - seconds[unit]) < abs(missing):
                chosen[unit] = seconds[unit]
                missing -= seconds[unit]
        if not chosen and available > 0:
            chosen = {min(left, key=lambda unit: (seconds[unit], unit)): 0.0}
        held.update(dict.fromkeys(chosen, split))
        left = [unit for unit in left if unit not in chosen]
    return held
