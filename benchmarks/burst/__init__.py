"""Pods simulated: what arrives, what scales, what it costs and how long pages wait."""
