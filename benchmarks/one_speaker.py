"""Makes a corpus of one speaker to fine-tune on: the speaker with the most utterances.

    python benchmarks/one_speaker.py data/pansori/train.jsonl data/few

Of the utterances, drawn by a seed, 50 are train, 20 are dev and the rest are test. The recordings
stay where they are.
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from random import Random

from sorigeul.base.files import write_text

TRAIN, DEV = 50, 20


def main() -> None:
    """Read a manifest; write three."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    lines = arguments.manifest.read_text(encoding="utf-8").splitlines()
    speakers = [json.loads(line)["supervisions"][0]["speaker"] for line in lines]
    ((speaker, count),) = Counter(speakers).most_common(1)
    own_lines = [line for line, name in zip(lines, speakers, strict=True) if name == speaker]
    Random(0).shuffle(own_lines)
    splits = {
        "train": own_lines[:TRAIN],
        "dev": own_lines[TRAIN : TRAIN + DEV],
        "test": own_lines[TRAIN + DEV :],
    }
    for split, split_lines in splits.items():
        text = "".join(f"{line}\n" for line in sorted(split_lines))
        write_text(arguments.out / f"{split}.jsonl", text)
    print(f"{count} utterances of {speaker}: {arguments.out}")


if __name__ == "__main__":
    main()
