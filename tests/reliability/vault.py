"""The model of the encryption tests. Its app isn't installed: no migration, no admin, no other test sees it."""

from django.db import models

from apps.reliability.encryption import EncryptedJSONField


class Vault(models.Model):
    secrets = EncryptedJSONField(default=dict, null=True)

    class Meta:
        app_label = "vault_of_the_tests"

    def __str__(self) -> str:
        return f"vault {self.pk}"
