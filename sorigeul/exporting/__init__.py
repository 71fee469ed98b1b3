"""Export to ONNX: graphs of a trained model, checked against it; running them without PyTorch."""

__all__ = ["export", "runtime"]
