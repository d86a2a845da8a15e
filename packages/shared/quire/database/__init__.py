"""Postgres: the documents, their pages, and who is working on what."""
