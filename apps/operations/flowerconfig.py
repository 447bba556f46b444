"""Flower's settings (`celery flower --conf=` this file): loopback, a login, and for looking only.

Flower can revoke tasks and stop workers. Here it shows; what is done is done in the admin, where it is on record.
"""

import os
import sys

from django.conf import settings

if settings.BROKER_IS_SQS:  # reading the settings reads .env, where the login may stand
    sys.exit(
        "Flower can't see workers over SQS, which carries no events and no remote control. Leave its line of the "
        "Procfile out; the admin's queue, job and worker pages read the database."
    )
basic_auth = [login for login in os.environ.get("FLOWER_BASIC_AUTH", "").split(",") if ":" in login]
if not basic_auth:
    sys.exit("Flower needs a login: set FLOWER_BASIC_AUTH=user:password")

address = os.environ.get("FLOWER_ADDRESS", "127.0.0.1")
port = int(os.environ.get("FLOWER_PORT", "5555"))
read_only = True
# Workers without -E: Flower switches their events on when it comes, and they cost nothing while nobody looks.
enable_events = True
natural_time = True
max_tasks = 10_000
purge_offline_workers = 300
