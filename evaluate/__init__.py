"""How good a model is, and search with it.

Takes models, corpora and questions; gives measures with intervals, answers, and report pages.
"""
