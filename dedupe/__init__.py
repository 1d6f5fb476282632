"""Pairs to kept pairs, every removal with its evidence."""
