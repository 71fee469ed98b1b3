"""Result of an overfit test in words, and why it failed."""

from sorigeul.doctor.overfit import OVERFIT_LR, PASSED_CRR, Outcome
from sorigeul.training.settings import Settings


def describe_outcome(outcome: Outcome) -> str:
    """The measured values, in one line."""
    ctc = "" if outcome.ctc_crr is None else f", {outcome.ctc_crr:.1f} % of the CTC head"
    return (
        f"{'passed' if outcome.passed else 'not passed'} after {outcome.seconds:.0f} s, "
        f"{outcome.epochs} epochs at lr {outcome.lr:g}: CRR {outcome.crr:.1f} % of the speller{ctc}"
        f" (teacher-forced {outcome.forced_crr:.1f} %, loss {outcome.loss:.2f})"
    )


def explain_failure(outcome: Outcome, settings: Settings) -> str:
    """The most likely reason why intact recordings were not learnt, and the remedy."""
    model = settings.model
    utterances = f"{outcome.utterances} utterances"
    guidance = "guide_weight 2, with ctc_weight 0.3 (which wants input_reverse False)"
    if not outcome.finite:
        reduced = settings.training.precision != "float32" and outcome.lr <= OVERFIT_LR
        remedy = "set precision float32" if reduced else f"lower lr (it is {outcome.lr:g})"
        return f"the loss did not stay finite on {utterances}: {remedy}"
    if outcome.ctc_passed:
        advice = "raise guide_weight" if model.guide_weight else f"set {guidance}"
        return (
            f"the CTC head passes the overfit test on {utterances} (CRR {outcome.ctc_crr:.0f} %) "
            f"and the speller does not ({outcome.crr:.0f} %): its attention found no alignment; "
            f"{advice}, and score_function dot"
        )
    if outcome.lr > OVERFIT_LR and not outcome.falling:
        return f"the overfit test on {utterances} failed at lr {outcome.lr:g}: set lr 0.001"
    if outcome.forced_crr >= PASSED_CRR and not model.guide_weight:
        return (
            f"the speller recites {utterances} only while it is given each previous character "
            f"(teacher-forced {outcome.forced_crr:.0f} %, free-running {outcome.crr:.0f} %): its "
            f"attention found no alignment; set {guidance}"
        )
    if outcome.falling:
        return (
            f"{outcome.seconds:.0f} s were too short for the overfit test on {utterances} (CRR "
            f"{outcome.crr:.0f} %, the loss still falls): raise --time_limit"
        )
    return (
        f"the overfit test on {utterances} failed (CRR {outcome.crr:.0f} %, the loss stands at "
        f"{outcome.loss:.2f}) although the recordings pass: try --preset small"
    )
