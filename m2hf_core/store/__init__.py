"""The library on disk: two SQLite files behind short typed functions."""

from m2hf_core.store.lock import WriterLock
from m2hf_core.store.store import Store, open_store

__all__ = ["Store", "WriterLock", "open_store"]
