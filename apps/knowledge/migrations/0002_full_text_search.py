"""The full-text index, which the database itself keeps: the models know nothing of it."""

from django.db import migrations

from apps.knowledge import fts5, tsvector


def _statements(schema_editor):
    return tsvector if schema_editor.connection.vendor == "postgresql" else fts5


def create(apps, schema_editor):
    for sql in _statements(schema_editor).CREATE:
        schema_editor.execute(sql, params=None)


def remove(apps, schema_editor):
    for sql in _statements(schema_editor).REMOVE:
        schema_editor.execute(sql, params=None)


class Migration(migrations.Migration):
    dependencies = [("knowledge", "0001_initial")]
    operations = [migrations.RunPython(create, remove)]
