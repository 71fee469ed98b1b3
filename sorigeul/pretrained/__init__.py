"""A trained model on disk or on the Hugging Face hub: publish it, load it."""

__all__ = ["description", "loading", "publishing", "search_settings"]
