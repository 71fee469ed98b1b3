"""What more speech brings: a model for each share of the training speech, and what they promise.

    python benchmarks/learning_curve.py data/pansori runs/curve --epochs 14 -- --preset small

The shares hold each other: whole speakers, in an order drawn by a seed, the last one in part. A
small share is heard more often: the epochs grow with the root of what is missing. Each model is the
best one on dev by greedy scores, searched as untuned models are, and judged on test. Options of
`train` follow after `--`. With the same arguments, what is finished is not made again; with other
shares it is added to. Prints a table; draws `curve.png`.
"""

import argparse
import json
import math
import subprocess
import sys
from pathlib import Path
from random import Random

import numpy as np
from matplotlib.figure import Figure

from sorigeul.base import plots
from sorigeul.base.errors import UserError
from sorigeul.base.files import write_text
from sorigeul.base.tables import markdown_table
from sorigeul.data.manifests import required_manifest, speaker

SHARES = 10, 30, 60, 100
"""percent of the training speech"""
TIMES = 2, 4, 10
"""how much more speech the curve is drawn on to"""


def main() -> None:
    """Train and evaluate every share, then fit the curve."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path, help="prepared corpus with train, dev and test")
    parser.add_argument("out", type=Path, help="folder for the shares and their runs")
    parser.add_argument("--epochs", type=int, required=True, help="of a training on all of it")
    parser.add_argument("--shares", type=float, nargs="+", default=SHARES, metavar="PERCENT")
    parser.add_argument("--seed", type=int, default=0)
    words = sys.argv[1:]
    before = words.index("--") if "--" in words else len(words)
    arguments = parser.parse_args(words[:before])
    arguments.options = words[before + 1 :]
    shares = sorted(set(arguments.shares))
    if len(shares) < 2 or not all(0 < share <= 100 for share in shares):
        parser.error("--shares must be two or more, above 0 and at most 100")
    if arguments.epochs < 1:
        parser.error("--epochs must be at least 1")
    _begin(arguments)
    points = [_point(arguments, share) for share in shares]
    rows = [["share", "hours", "speakers", "CRR", "CER", "WER"]]
    for point in points:
        rates = (f"{point[rate]:.2f}" for rate in ("crr", "cer", "wer"))
        rows.append(
            [f"{point['share']:g} %", f"{point['hours']:.2f}", f"{point['speakers']}", *rates]
        )
    print(markdown_table(rows, names=0), end="")
    hours = np.array([point["hours"] for point in points])
    errors = np.array([100 - point["crr"] for point in points])
    scale, exponent = power_law(hours, errors)
    print(f"\nerror = {scale:.1f} % / hours^{exponent:.3f}")
    for times in TIMES:
        more = times * hours[-1]
        print(
            f"{more:.1f} hours: CRR {100 - scale / more**exponent:.1f} %, if it goes on like that"
        )
    _draw(arguments.out / "curve.png", hours, errors, scale, exponent)


def _begin(arguments: argparse.Namespace) -> None:
    """Make the folder, or find it begun with the same arguments but for the shares."""
    record = arguments.out / "arguments.json"
    given = [str(arguments.data), arguments.seed, arguments.epochs, arguments.options]
    if record.exists() and json.loads(record.read_bytes()) != given:
        raise UserError(f"{arguments.out} is of other arguments: choose another folder")
    write_text(record, json.dumps(given))


def power_law(
    hours: "np.ndarray[tuple[int], np.dtype[np.float64]]",
    errors: "np.ndarray[tuple[int], np.dtype[np.float64]]",
) -> tuple[float, float]:
    """A and b of errors = A / hours^b (Hestness et al. 2017), by least squares of the logarithms.

    hours, errors : (N,), of at least two amounts of speech
    """
    slope, intercept = np.polyfit(np.log(hours), np.log(errors), 1)
    return math.exp(intercept), -float(slope)


def _point(arguments: argparse.Namespace, share: float) -> dict[str, float]:
    """Train on a share, unless that is done; its hours, speakers and rates on test."""
    folder: Path = arguments.out / f"{share:g}"
    data, run, rates = folder / "data", folder / "run", folder / "test.json"
    ids, hours, speakers = _drawn(arguments.data, share, arguments.seed)
    if not (data / "train.jsonl").exists():
        write_text(folder / "ids.txt", "".join(f"{id_}\n" for id_ in ids))
        _sorigeul("data", "filter", arguments.data, data, "--ids", folder / "ids.txt")
    if not rates.exists():
        epochs = round(arguments.epochs / math.sqrt(share / 100))
        _sorigeul("train", data, run, *arguments.options, "--max_epochs", epochs)
        partial = folder / "partial.json"  # of a corpus that could not be read as a whole
        _sorigeul("evaluate", run, data, "--split", "test", "--json", partial)
        partial.replace(rates)
    return {"share": share, "hours": hours, "speakers": speakers} | json.loads(rates.read_bytes())


def _drawn(data: Path, share: float, seed: int) -> tuple[list[str], float, int]:
    """Ids of the utterances that stay, and how many hours and speakers of training they are."""
    cuts = list(required_manifest(data, "train"))
    names = sorted({speaker(cut) for cut in cuts})
    order = {name: number for number, name in enumerate(Random(seed).sample(names, len(names)))}
    cuts.sort(key=lambda cut: (order[speaker(cut)], cut.id))
    ends = np.cumsum([cut.duration for cut in cuts])
    count = int(np.searchsorted(ends, ends[-1] * share / 100 * (1 + 1e-9), side="right"))
    kept = cuts[: max(count, 1)]
    judged = [cut for split in ("dev", "test") for cut in required_manifest(data, split)]
    ids = [cut.id for cut in (*kept, *judged)]
    return ids, float(ends[len(kept) - 1]) / 3600, len({speaker(cut) for cut in kept})


def _sorigeul(*words: object) -> None:
    """Run a command; where it fails, it has said why."""
    done = subprocess.run([sys.executable, "-m", "sorigeul", *map(str, words)], check=False)
    if done.returncode != 0:
        raise SystemExit(done.returncode)


def _draw(
    path: Path,
    hours: "np.ndarray[tuple[int], np.dtype[np.float64]]",
    errors: "np.ndarray[tuple[int], np.dtype[np.float64]]",
    scale: float,
    exponent: float,
) -> None:
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    reach = np.geomspace(hours[0], TIMES[-1] * hours[-1], 50)
    axes.loglog(reach, scale / reach**exponent, "--", label="if it goes on like that")
    axes.loglog(hours, errors, "o", label="trained")
    ticks = [*hours, *(times * hours[-1] for times in TIMES)]
    axes.set_xticks(ticks, [f"{tick:.2g}" for tick in ticks])
    axes.set_yticks(range(10, 100, 10), [str(level) for level in range(10, 100, 10)])
    axes.minorticks_off()
    axes.set_ylim(max(1, 0.8 * scale / reach[-1] ** exponent), 100)
    axes.set_xlabel("hours of training speech")
    axes.set_ylabel("character errors on test (100 - CRR, %)")
    axes.grid(alpha=0.3)
    axes.legend()
    plots.save_figure(figure, path)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        raise SystemExit(f"error: {error}") from error
