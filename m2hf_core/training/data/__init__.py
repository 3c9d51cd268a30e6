"""Data sets as a training loop reads them: annotations, prepared features in shards, packed batches."""
