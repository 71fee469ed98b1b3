"""How good a recogniser is: recognition of a corpus; error rates by fixed rules, how sure they are.

`judgement` is the way in; what it takes are pairs of texts, of our recogniser or of any other.
"""

__all__ = [
    "alignments",
    "attention_metrics",
    "calibration",
    "comparison",
    "conditions",
    "encoded_corpus",
    "evaluate",
    "judgement",
    "policies",
    "report",
    "result_files",
    "robustness",
    "scores",
    "significance",
    "transcript_files",
    "tuning",
]
