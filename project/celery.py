"""The Celery app: worker pools, queues, beat, remote control, events. What must not be lost is in apps.jobs."""

import os
from typing import Any

from celery import Celery, signals
from django.conf import settings
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
# Celery's own run of Django's checks loads every view into the worker and ignores what they say; ours is below.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

# Imported only where BROKER_URL is sqs://, which needs requirements-sqs.txt.
TRANSPORT_ALIASES["sqs"] = "apps.jobs.sqs_transport:Transport"

app = Celery("switchboard")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@signals.setup_logging.connect
def keep_our_logging(**_: Any) -> None:
    """Being connected is the point: Celery leaves logging to the settings."""


@signals.worker_init.connect
def keep_the_configuration_home(**_: Any) -> None:
    """Flower and `celery inspect conf` ask workers for their configuration: all of Django's settings, addresses
    with passwords among them, would travel through the broker."""
    from celery.worker.control import inspect_command

    @inspect_command(alias="dump_conf")
    def conf(state: Any, with_defaults: bool = False, **_: Any) -> dict[str, str]:
        return {"switchboard": "the configuration is not sent through the broker; see .env.example"}


@signals.celeryd_init.connect  # before the worker looks at its broker
@signals.beat_init.connect
def refuse_wrong_settings(**_: Any) -> None:
    """A worker or a beat on wrong settings must not start."""
    from apps.operations.checks import stop_if_wrong

    stop_if_wrong()


@signals.worker_init.connect
def refuse_missing_queues(sender: Any, **_: Any) -> None:
    """SQS makes no queue by itself: a worker without one would never hear a bell."""
    if settings.BROKER_IS_SQS:
        from apps.operations.brokers.sqs import stop_if_missing

        stop_if_missing(sender.app.amqp.queues.consume_from)
