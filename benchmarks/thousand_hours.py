"""Measures `prepare` and the start of `train` on a thousand hours in the layout of KsponSpeech.

    python benchmarks/thousand_hours.py FOLDER [--utterances 622545] [--jobs N]

FOLDER takes some 7 GB on a file system with sparse files: each recording begins with a tone, and
the silence after it takes no space. An existing tree is used again. Prints a table.
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

from sorigeul.base.tables import markdown_table

UTTERANCES = {"train": 620_000, "dev": 2_545, "eval_clean": 3_000, "eval_other": 3_000}
PUBLISHED = 622_545  # train and dev
SYLLABLES_PER_SECOND = 5
TIME_LIMIT = 600  # seconds for a training to take its first step


def write_tree(root: Path, utterances: int) -> None:
    """Write recordings of 5.6 s on average, 1,000 in each folder, and their transcripts.

    The 622,545 utterances of train and dev are 965 h. KsponSpeech calls its transcripts scripts.
    """
    random = Random(0)
    syllables = [chr(code) for code in range(ord("가"), ord("힣"), 5)]
    weights = [1 / (rank + 3) for rank in range(len(syllables))]
    samples = (4000 if n // 20 % 2 else -4000 for n in range(2000))
    tone = b"".join(sample.to_bytes(2, "little", signed=True) for sample in samples)
    number = 0
    (root / "KsponSpeech_scripts").mkdir(parents=True)
    for split, published in UTTERANCES.items():
        with (root / "KsponSpeech_scripts" / f"{split}.trn").open("w", encoding="utf-8") as script:
            for _ in range(max(1, round(published * utterances / PUBLISHED))):
                number += 1
                folder, prefix = f"KsponSpeech_{1 + number // 124_000:02}", "KsponSpeech_"
                folder += f"/KsponSpeech_{1 + number // 1000:04}"
                if split.startswith("eval"):
                    folder, prefix = f"KsponSpeech_eval/{split}", "KsponSpeech_E"
                name = f"{folder}/{prefix}{number:06}.pcm"
                (root / folder).mkdir(parents=True, exist_ok=True)
                seconds = min(30.0, max(0.5, random.lognormvariate(1.505, 0.66)))
                with (root / name).open("wb") as file:
                    file.write(tone)
                    file.truncate(2 * round(16_000 * seconds))
                count = max(1, round(seconds * SYLLABLES_PER_SECOND))
                text = "".join(random.choices(syllables, weights, k=count))
                words = " ".join(text[start : start + 3] for start in range(0, count, 3))
                mark = random.choice(("", "b/ ", "n/ ", "(3)/(세) "))
                script.write(f"{name} :: {mark}{words}.\n")


def run_command(*command: str | Path) -> tuple[float, float]:
    """Run a command to its end; return its seconds and the peak memory of a process in GB."""
    start = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "sorigeul", *map(str, command)])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(map(str, command))}: status {os.waitstatus_to_exitcode(status)}")
    return time.monotonic() - start, usage.ru_maxrss / 1e6


def run_first_step(run: Path, *command: str | Path) -> tuple[float, float]:
    """Start a training; return the seconds until its first step is done, and its memory in GB."""
    shutil.rmtree(run, ignore_errors=True)
    start = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "sorigeul", *map(str, command)])
    while not list(run.glob("checkpoints/step-*.pt")):
        if process.poll() is not None or time.monotonic() - start > TIME_LIMIT:
            process.kill()
            sys.exit(f"no step of the training after {time.monotonic() - start:.0f} s")
        time.sleep(0.05)
    seconds = time.monotonic() - start
    process.send_signal(signal.SIGTERM)
    _, _, usage = os.wait4(process.pid, 0)
    return seconds, usage.ru_maxrss / 1e6


def main() -> None:
    """Prepare, train and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--utterances", type=int, default=PUBLISHED)
    parser.add_argument("--jobs", type=int, default=0, help="0: one process a core")
    parser.add_argument("--shards", type=int, default=0, help="also write archives")
    arguments = parser.parse_args()
    source, out, run = (arguments.folder / name for name in ("KsponSpeech", "manifests", "run"))
    if not source.exists():
        write_tree(source, arguments.utterances)
    shutil.rmtree(out, ignore_errors=True)

    prepare = ("prepare", "kspon", source, out, "--jobs", str(arguments.jobs))
    train = ("train", out, run, "--preset", "quickstart", "--checkpoint_every", "1")
    rows = {
        "prepare": run_command(*prepare),
        "prepare, once more": run_command(*prepare),
        "train, to the end of its first step": run_first_step(run, *train),
    }
    if arguments.shards:
        archives = ("--shards", str(arguments.shards))
        rows["prepare, with archives"] = run_command(*prepare, *archives)
        rows["train from archives, to the end of its first step"] = run_first_step(run, *train)
    table = [[f"{arguments.utterances:,} utterances", "seconds", "GB"]]
    table += [[name, f"{seconds:.1f}", f"{memory:.2f}"] for name, (seconds, memory) in rows.items()]
    print(f"\n{markdown_table(table)}", end="")


if __name__ == "__main__":
    main()
