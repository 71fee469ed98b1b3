"""Graphs of ONNX for a trained model: running them without PyTorch, and exporting them to files."""

__all__ = ["export", "run_graphs", "runtime"]
