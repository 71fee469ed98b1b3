"""A trained model on disk or on the Hugging Face hub: publish it, load it."""

__all__ = ["loading", "publishing", "search_settings"]
