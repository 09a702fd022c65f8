"""The matrix: both streams of values through Singer targets from PyPI, into their stores."""
