"""The API service: what faces people and other services."""
