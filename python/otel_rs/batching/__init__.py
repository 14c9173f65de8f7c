"""Batches of spans and of log records: what both signals' batch processors have in common."""
