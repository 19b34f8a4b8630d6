"""Logs that never were, with their truth: what the tests, the sample and the benchmarks read.

Independent of the parser on purpose: nothing in here imports anything else of transforms.
"""
