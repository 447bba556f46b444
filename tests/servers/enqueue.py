"""Make jobs from outside, in a process of its own, as another program with the code would.

    python -m tests.servers.enqueue <task> <how many> ['{"more": "payload"}']

Each job's payload carries its number; the ids are printed as JSON.
"""

import json
import os
import sys

if __name__ == "__main__":
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    django.setup()

    from django.db import transaction

    from apps.jobs.enqueueing import NewJob, enqueue_many

    task, count, more = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3] if len(sys.argv) > 3 else "{}")
    with transaction.atomic():
        made = enqueue_many([NewJob(task, {"number": number, **more}) for number in range(count)])
    json.dump([job.id for job in made], sys.stdout)
