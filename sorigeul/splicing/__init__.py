"""New utterances of pieces of old ones, joined where CTC finds the ends of words."""

__all__ = ["corpus", "options", "ranges"]
