"""From a path to stored features: scan, reconcile, extract, commit."""
