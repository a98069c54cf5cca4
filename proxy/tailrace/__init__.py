"""Tailrace: an OpenAI-compatible proxy that keeps every completion and turns the log into training data."""

__version__ = "0.1.0"
