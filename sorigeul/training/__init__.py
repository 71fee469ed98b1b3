"""A training run: settings, one step, the loop, checkpoints, metrics, fine-tuning."""

__all__ = [
    "devices",
    "language_model",
    "language_model_settings",
    "learner",
    "metrics",
    "run",
    "settings",
    "starting_point",
]
