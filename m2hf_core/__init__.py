"""The library behind M2HF-app: everything a script needs to search videos, and nothing of the window."""
