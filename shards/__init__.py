"""Kept pairs to a dataset on disk that can be checked."""
