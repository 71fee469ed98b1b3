"""The server: an OpenAI-compatible API, live audio, and a page for the browser."""

__all__ = ["options", "process", "server"]
