"""Shards to an XTR encoder."""
