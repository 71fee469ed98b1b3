"""A trained model on disk or on the Hugging Face hub: publish it, describe it, load it."""

__all__ = [
    "description",
    "encoders",
    "hub_upload",
    "loading",
    "model_card",
    "publishing",
    "search_settings",
    "stored_evaluations",
]
