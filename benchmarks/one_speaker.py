"""A corpus of one speaker, to fine-tune on: the one with most utterances, 50 to train on.

    python benchmarks/one_speaker.py data/pansori/train.jsonl data/few

Of the others 20 are dev and the rest test, drawn by a seed. The recordings stay where they are.
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from random import Random

from sorigeul.base.files import write_text

TRAIN, DEV = 50, 20


def main() -> None:
    """Read a manifest, write three."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    lines = given.manifest.read_text(encoding="utf-8").splitlines()
    speakers = [json.loads(line)["supervisions"][0]["speaker"] for line in lines]
    ((speaker, count),) = Counter(speakers).most_common(1)
    own = [line for line, who in zip(lines, speakers, strict=True) if who == speaker]
    Random(0).shuffle(own)
    for split, part in (
        ("train", own[:TRAIN]),
        ("dev", own[TRAIN : TRAIN + DEV]),
        ("test", own[TRAIN + DEV :]),
    ):
        write_text(given.out / f"{split}.jsonl", "".join(f"{line}\n" for line in sorted(part)))
    print(f"{count} utterances of {speaker}: {given.out}")


if __name__ == "__main__":
    main()
