"""Search: from encoder output to character ids by greedy or beam search; fast inference."""

__all__ = ["decoding", "greedy", "hypothesis", "inference", "options", "rescoring", "terms"]
