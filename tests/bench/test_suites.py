"""Benchmarks: the yardsticks do the same work, and the figures are told as they are."""

import json
from pathlib import Path

import pytest
import torch
from helpers.commands import Command
from torch import nn

from sorigeul import LASConfig, ListenAttendSpell
from sorigeul.base.errors import UserError
from sorigeul.bench.measurements import Measurement, Point, Target, write_report
from sorigeul.bench.yardsticks import PlainLAS, fastest_seconds, plain_training_step
from sorigeul.model.losses import joint_losses
from sorigeul.search.greedy import greedy_search

MARKS = "<!-- figures -->\n<!-- end of figures -->\n"


def seed_like(dropout: float = 0.0) -> ListenAttendSpell:
    """The printed model in small, as a benchmark compares it."""
    torch.manual_seed(3)
    config = LASConfig(
        hidden_size=16, conv_channels=4, n_mels=8, vocabulary_size=40, dropout=dropout
    )
    return ListenAttendSpell(config)


def batch(rows: int = 3, frames: int = 96) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    features = torch.randn(rows, frames, 8, generator=generator)
    return features, torch.randint(0, 37, (rows, 6), generator=generator)


@pytest.mark.parametrize(("kind", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 2e-2)])
def test_the_loss_curve_is_the_plain_one(kind: torch.dtype, tolerance: float) -> None:
    """Everything that makes a step quick, against the same training written plainly."""
    model, (features, tokens) = seed_like(), batch()
    plain = PlainLAS(model.config).take_weights(model)
    lengths, amounts = torch.full((3,), 96), torch.full((3,), 6)
    step = plain_training_step(plain, features, tokens, 3e-3, 0.1)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, fused=True)
    model.train()
    ours, theirs = [], []
    for _ in range(12):
        theirs.append(float(plain.loss(features, tokens, 0.1).detach()))
        with torch.autocast("cpu", kind, enabled=kind == torch.bfloat16):
            spelled = model(features, lengths, tokens)
            loss = joint_losses(model.config, spelled, tokens, amounts, 0.1).total
        ours.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        step()
    assert theirs[-1] < 0.8 * theirs[0], "nothing was learnt, so nothing was compared"
    torch.testing.assert_close(torch.tensor(ours), torch.tensor(theirs), rtol=tolerance, atol=0.0)


def test_plain_recognition_is_greedy_search() -> None:
    model, (features, _) = seed_like().eval(), batch(1)
    with torch.no_grad():  # never the end, a start or padding, which the plain one knows nothing of
        model.speller.out.bias[-3:] = -1e4
    plain = PlainLAS(model.config).take_weights(model).eval()
    with torch.no_grad():
        (found,) = greedy_search(model, model.listen(features, torch.tensor([96])))
    assert plain.recognize(features, len(found.tokens))[0].tolist() == found.tokens


def test_the_fastest_of_several_calls_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that shows when each call begins and ends: the first one only warms up."""
    shown = iter([0, 1, 10, 15, 20, 22, 30, 33])
    monkeypatch.setattr("sorigeul.bench.yardsticks.time.perf_counter", lambda: next(shown))
    assert fastest_seconds(lambda: None, 3) == 2


def test_targets_say_by_how_much_they_are_missed() -> None:
    targets = (
        Target("value", "at least", 200, "the disk"),
        Target("ratio", "at least", 2, "the disk"),
    )
    figure = Measurement("reading", 150.0, "MB/s", "cat", 3.0, targets)
    assert figure.verdicts() == {
        "at least 200": "missed by 25 %: the disk",
        "at least 2 times": "met",
    }
    slow = Target("value", "at most", 0.02, "memory")
    assert slow.verdict(0.02) == "met"
    assert slow.verdict(0.03) == "missed by 50 %: memory"
    assert json.loads(figure.to_json()) == {
        "name": "reading",
        "value": 150.0,
        "unit": "MB/s",
        "yardstick": "cat",
        "ratio": 3.0,
        "targets": figure.verdicts(),
    }


def test_the_report_replaces_the_table_alone(tmp_path: Path) -> None:
    path = tmp_path / "BENCHMARKS.md"
    path.write_text(f"# Before\n{MARKS}after\n", encoding="utf-8")
    point = Point("recognition", "seed", 5)
    figures = [
        Measurement("reading", 1234.5, "MB/s"),
        Measurement("r", 0.1, "of real time", point=point),
    ]
    for _ in range(2):  # the second time over the first table
        write_report(path, "sorigeul bench", "a machine", figures)
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# Before\n<!-- figures -->\n`sorigeul bench`\n\na machine.\n")
    assert text.endswith("<!-- end of figures -->\nafter\n")
    assert text.count("| reading | 1,234 MB/s |  |  |  |") == 1
    drawn = tmp_path / "docs" / "images" / "bench_recognition.png"
    assert drawn.read_bytes().startswith(b"\x89PNG")


def test_a_report_without_marks_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "NOTES.md"
    path.write_text("mine\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"NOTES\.md has no lines '<!-- figures -->'"):
        write_report(path, "sorigeul bench", "a machine", [])
    assert path.read_text(encoding="utf-8") == "mine\n"


def test_the_command_prints_a_figure_a_line(sorigeul: Command) -> None:
    done = sorigeul("bench", "features", "--json")
    figures = {figure["name"]: figure for figure in map(json.loads, done.out.splitlines())}
    for figure in figures.values():
        assert figure.keys() >= {"name", "value", "unit", "yardstick", "ratio"}
        assert figure["value"] > 0
    assert figures["features, one core"]["ratio"] > 0
    assert figures["features, one core"]["yardstick"].startswith("librosa")


def test_unknown_suite(sorigeul: Command) -> None:
    done = sorigeul("bench", "speed")
    assert done.status == 2
    assert "features" in done.error()
