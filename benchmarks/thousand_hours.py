"""A thousand hours: a tree shaped like KsponSpeech, prepared, and a training begun on it.

    python benchmarks/thousand_hours.py FOLDER [--utterances 622545] [--jobs N]

FOLDER takes some 7 GB on a file system that knows sparse files: each recording begins with a tone,
and its silence takes no room. A tree that stands there is used again. Prints a table.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

SCRIPTS = {"train": 620_000, "dev": 2_545, "eval_clean": 3_000, "eval_other": 3_000}
PUBLISHED = 622_545  # train and dev
SYLLABLES_A_SECOND = 5
LIMIT = 600  # seconds until the first step of a training, before it counts as never


def tree(root: Path, utterances: int) -> None:
    """Write recordings of 5.6 s on average (965 h of 622,545), 1,000 a folder, and the scripts."""
    random = Random(0)
    syllables = [chr(code) for code in range(ord("가"), ord("힣"), 5)]
    weights = [1 / (rank + 3) for rank in range(len(syllables))]
    samples = (4000 if n // 20 % 2 else -4000 for n in range(2000))
    tone = b"".join(sample.to_bytes(2, "little", signed=True) for sample in samples)
    number = 0
    (root / "KsponSpeech_scripts").mkdir(parents=True)
    for split, published in SCRIPTS.items():
        with (root / "KsponSpeech_scripts" / f"{split}.trn").open("w", encoding="utf-8") as script:
            for _ in range(max(1, round(published * utterances / PUBLISHED))):
                number += 1
                place, prefix = f"KsponSpeech_{1 + number // 124_000:02}", "KsponSpeech_"
                place += f"/KsponSpeech_{1 + number // 1000:04}"
                if split.startswith("eval"):
                    place, prefix = f"KsponSpeech_eval/{split}", "KsponSpeech_E"
                name = f"{place}/{prefix}{number:06}.pcm"
                (root / place).mkdir(parents=True, exist_ok=True)
                seconds = min(30.0, max(0.5, random.lognormvariate(1.505, 0.66)))
                with (root / name).open("wb") as file:
                    file.write(tone)
                    file.truncate(2 * round(16_000 * seconds))
                count = max(1, round(seconds * SYLLABLES_A_SECOND))
                said = "".join(random.choices(syllables, weights, k=count))
                words = " ".join(said[at : at + 3] for at in range(0, count, 3))
                mark = random.choice(("", "b/ ", "n/ ", "(3)/(세) "))
                script.write(f"{name} :: {mark}{words}.\n")


def measured(*command: str | Path) -> tuple[float, float]:
    """Run a command to its end; return its seconds and the most memory one process took, in GB."""
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "sorigeul", *map(str, command)])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(map(str, command))}: status {os.waitstatus_to_exitcode(status)}")
    return time.monotonic() - began, usage.ru_maxrss / 1e6


def first_step(run: Path, *command: str | Path) -> tuple[float, float]:
    """Begin a training; return the seconds until its first step is done, and its memory in GB."""
    shutil.rmtree(run, ignore_errors=True)
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "sorigeul", *map(str, command)])
    while not list(run.glob("checkpoints/step-*.pt")):
        if process.poll() is not None or time.monotonic() - began > LIMIT:
            process.kill()
            sys.exit(f"no step of the training after {time.monotonic() - began:.0f} s")
        time.sleep(0.05)
    seconds = time.monotonic() - began
    process.send_signal(signal.SIGTERM)
    _, _, usage = os.wait4(process.pid, 0)
    return seconds, usage.ru_maxrss / 1e6


def main() -> None:
    """Do it all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--utterances", type=int, default=PUBLISHED)
    parser.add_argument("--jobs", type=int, default=0, help="0: one process a core")
    parser.add_argument("--shards", type=int, default=0, help="write archives, too")
    given = parser.parse_args()
    source, out, run = (given.folder / name for name in ("KsponSpeech", "manifests", "run"))
    if not source.exists():
        tree(source, given.utterances)
    shutil.rmtree(out, ignore_errors=True)

    prepare = ("prepare", "kspon", source, out, "--jobs", str(given.jobs))
    train = ("train", out, run, "--preset", "quickstart", "--checkpoint_every", "1")
    rows = {
        "prepare": measured(*prepare),
        "prepare, once more": measured(*prepare),
        "train, to the end of its first step": first_step(run, *train),
    }
    if given.shards:
        archives = ("--shards", str(given.shards))
        rows["prepare, with archives"] = measured(*prepare, *archives)
        rows["train from archives, to the end of its first step"] = first_step(run, *train)
    print(f"\n| {given.utterances:,} utterances | seconds | GB |\n| --- | --- | --- |")
    for what, (seconds, memory) in rows.items():
        print(f"| {what} | {seconds:.1f} | {memory:.2f} |")


if __name__ == "__main__":
    main()
