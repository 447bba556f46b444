"""What has a page in the admin here, but no table: the rows are in Redis."""

from django.db import models


class Breaker(models.Model):
    """A circuit breaker (apps/reliability/breaker.py), for its permissions and its name in the admin's log."""

    name = models.CharField(max_length=600, primary_key=True)

    class Meta:
        managed = False
        default_permissions = ("view",)
        permissions = (("reset_breaker", "Can reset breakers"),)

    def __str__(self) -> str:
        return self.name
