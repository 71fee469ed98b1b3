"""A training run: settings, one step, the loop, checkpoints, metrics, fine-tuning."""

__all__ = ["devices", "learner", "metrics", "run", "settings", "starting_point"]
