"""The composition root: wires the rooms together, owns no logic, and is imported by none of them."""

from project.celery import app as celery_app

__all__ = ["celery_app"]
