"""The M2HF scorer: from token and frame features to one score matrix per branch."""
