"""Weights: what exists, what is here, whether it is genuine, and the program's only network code."""
