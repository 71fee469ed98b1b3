"""Long recordings with their texts, cut into the utterances of a prepared corpus."""

__all__ = ["corpus", "options", "ranges", "script"]
