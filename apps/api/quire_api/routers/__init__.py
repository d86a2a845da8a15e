"""The API, one router per resource."""
