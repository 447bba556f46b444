"""The WSGI application: API, admin and chat page. Refuses to start on wrong settings."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
application = get_wsgi_application()

from apps.operations.checks import stop_if_wrong  # noqa: E402 - after the apps are ready

stop_if_wrong()

from apps.accounts.last_used import last_used  # noqa: E402 - only in a process that can work
from apps.reliability import garbage  # noqa: E402

# Each web process writes beside its requests when its API keys were used.
last_used.start()
garbage.settle()
