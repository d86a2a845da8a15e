"""Taking documents through: the page flow with a database, one task without."""
