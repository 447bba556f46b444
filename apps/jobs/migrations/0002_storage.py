"""How PostgreSQL keeps the ledger: half-full pages reuse their own dead versions, and vacuum comes early."""

from django.db import migrations


def tune(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            "ALTER TABLE jobs_job SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, "
            "autovacuum_vacuum_cost_delay = 0)"
        )
        schema_editor.execute("ALTER TABLE jobs_worker SET (fillfactor = 50)")
        schema_editor.execute("ALTER TABLE jobs_jobcounter SET (fillfactor = 70)")


class Migration(migrations.Migration):
    dependencies = [("jobs", "0001_initial")]
    operations = [migrations.RunPython(tune, migrations.RunPython.noop)]
