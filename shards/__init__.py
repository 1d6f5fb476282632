"""The dataset: its format, writing, reading, checking and publishing.

Takes kept pairs; gives a sealed folder of tars, index, Parquet twin, manifest and evidence, and
readers that resume exactly.
"""
