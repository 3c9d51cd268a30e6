"""Processes that extract features, and the supervisor that keeps them going; Qt-free."""
