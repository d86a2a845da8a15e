"""Rented capacity for the OCR queue: as much as waiting pages are worth, and none when nothing waits."""
