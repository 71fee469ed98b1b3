"""Language models of characters: which character follows a text, by n-grams or a network."""

__all__ = [
    "language_model",
    "loading",
    "model_files",
    "network",
    "networks",
    "ngram",
    "perplexity",
    "recurrent",
    "sampling",
    "text_data",
    "text_sources",
    "transformer",
]
