"""Judgement: scores by all policies with intervals, and comparisons of two recognisers."""

import json
import random

import pytest

from sorigeul.evaluation.judgement import INTERVAL_RATES, compare, judge
from sorigeul.evaluation.policies import POLICIES, READINGS, STRICT
from sorigeul.evaluation.scores import TextPair, score

WORDS = ["나는", "밥을", "먹고", "학교에", "갔다", "70%", "그래서", "AI"]


def texts(
    count: int, error_rate: float, seed: int = 0, speakers: int = 0, changed: int = 0
) -> list[TextPair]:
    """Random utterances, and what a recogniser makes of them that errs with `error_rate`."""
    said, heard = random.Random(seed), random.Random(seed + 1000 + changed)
    pairs = []
    for number in range(count):
        words = said.choices(WORDS, k=said.randint(3, 12))
        hypothesis = [
            word if heard.random() > error_rate else heard.choice(["", "예", word + "도"])
            for word in words
        ]
        speaker = f"s{number % speakers}" if speakers else ""
        pairs.append(TextPair(f"u{number}", " ".join(words), " ".join(hypothesis), speaker))
    return pairs


def test_scores_and_intervals_are_there_by_every_policy() -> None:
    pairs = texts(60, 0.2)
    judgement = judge(pairs, "plain/1")
    content = json.loads(json.dumps(judgement.to_json()))
    assert list(content["policies"]) == [str(policy) for policy in POLICIES]
    plain = score([p.reference for p in pairs], [p.hypothesis for p in pairs], "plain/1")
    assert {name: content[name] for name in plain.to_json()} == plain.to_json()
    assert content["policy"] == "strict/1"
    for scores in (content, *content["policies"].values()):
        assert set(scores["intervals"]) == set(INTERVAL_RATES)
        for name, (low, high) in scores["intervals"].items():
            assert low < scores[name] < high
    low, high = content["intervals"]["cer_no_space"]
    assert content["intervals"]["crr"] == pytest.approx([100 - high, 100 - low])
    headline = judgement.to_json(READINGS)
    assert headline["crr"] == content["policies"]["readings/3"]["crr"]
    assert headline["policy"] == "readings/3"


def test_the_json_says_what_was_resampled() -> None:
    by_speaker = judge(texts(60, 0.2, speakers=12), "plain/1").to_json()["resampled"]
    assert (by_speaker["unit"], by_speaker["units"]) == ("speaker", 12)
    by_utterance = judge(texts(60, 0.2, speakers=9), "plain/1").to_json()["resampled"]
    assert (by_utterance["unit"], by_utterance["units"]) == ("utterance", 60)


def test_one_utterance_has_no_interval() -> None:
    judgement = judge(texts(1, 0.2), "plain/1")
    assert judgement.to_json()["intervals"] == {}
    assert " to " not in judgement.table()


def test_the_table_has_two_policies_side_by_side() -> None:
    judgement = judge(texts(60, 0.2), "plain/1")
    lines = judgement.table().splitlines()
    assert lines[0].split("|")[2:4] != lines[1].split("|")[2:4]
    assert [cell.strip() for cell in lines[0].split("|")[1:4]] == [
        "% (95 % interval)",
        "strict/1",
        "readings/3",
    ]
    crr = judgement.by_policy[STRICT].score.crr
    low, high = judgement.by_policy[STRICT].intervals["crr"]
    assert lines[2].split("|")[2].strip() == f"{crr:.2f} ({low:.2f} to {high:.2f})"
    assert len({len(line) for line in lines[:8]}) == 1
    first = judgement.table(READINGS).splitlines()[0].split("|")[2].strip()
    assert first == "readings/3"


# Comparisons


def test_a_recogniser_equals_itself() -> None:
    judgement = judge(texts(60, 0.2), "plain/1")
    comparison = compare(judgement, judgement)
    assert comparison.crr.difference == comparison.wer.difference == 0
    assert comparison.matched_pairs.mean_difference == 0
    assert "equal" in comparison.in_words("one", "other")


def test_a_better_recogniser_is_found_by_every_policy() -> None:
    worse, better = judge(texts(120, 0.3), "x/1"), judge(texts(120, 0.12, changed=1), "x/1")
    for policy in POLICIES:
        comparison = compare(worse, better, policy)
        rates = [judged.by_policy[policy].score for judged in (worse, better)]
        assert comparison.crr.difference == pytest.approx(rates[1].crr - rates[0].crr)
        assert comparison.wer.difference == pytest.approx(rates[1].wer - rates[0].wer)
        assert comparison.crr.difference > 0 > comparison.wer.difference
        assert max(comparison.crr.p, comparison.wer.p, comparison.matched_pairs.p) < 0.01
        backwards = compare(better, worse, policy)
        assert backwards.crr.difference == -comparison.crr.difference
        assert backwards.matched_pairs.w == pytest.approx(-comparison.matched_pairs.w)
        json.dumps(comparison.to_json())


def test_the_order_of_the_utterances_does_not_matter() -> None:
    first, second = texts(80, 0.3), texts(80, 0.25, changed=1)
    expected = compare(judge(first, "x/1"), judge(second, "x/1"))
    assert compare(judge(first, "x/1"), judge(second[::-1], "x/1")) == expected


def test_other_utterances_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="same utterances"):
        compare(judge(texts(5, 0.2), "x/1"), judge(texts(6, 0.2), "x/1"))


def test_a_pair_that_is_too_long_for_all_readings_is_said(caplog: pytest.LogCaptureFixture) -> None:
    pairs = [TextPair("short", "3시", "세 시"), TextPair("long", "12 " * 2_000, "열둘 " * 2_000)]
    judge(pairs, "plain/2")
    assert "1 of 2, the first is long" in caplog.text
