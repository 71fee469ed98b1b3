"""Reads corpora from disk, checks their utterances and writes manifests, splits and a report."""

__all__ = [
    "catalog",
    "checking",
    "corpus_files",
    "counts",
    "cut_corpus",
    "json_text",
    "names",
    "options",
    "preparation",
    "ranges",
    "report",
    "sentence_ends",
    "splits",
    "utterances",
    "written_table",
]
