"""From a query to ranked moments with receipts, and back from a moment to captions."""
