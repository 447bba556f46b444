"""Django's PostgreSQL backend with an end to every wait (apps/reliability/patience.py): ENGINE is this package."""
