"""Settings declared once, and the folders where everything lives."""
