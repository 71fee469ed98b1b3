"""How good a model is: recognition of a corpus, error rates, alignment of the attention."""

__all__ = ["attention_metrics", "evaluate", "robustness", "scores"]
