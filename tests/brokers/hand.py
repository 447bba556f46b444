"""The process that takes requests, without the web: it makes jobs when it is told to, and says how its ringer is.

    python -m tests.brokers.hand

Reads a line of JSON and answers with one: {"do": "make", "task": …, "payloads": […], "lanes": 0, "options": {…}} gives
ids; {"do": "bells"} says how many bells its ringer began to publish and how many calls have returned.
"""

import json
import os
import sys
from typing import Any


def main() -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    django.setup()

    from django.db import transaction

    from apps.jobs import bell
    from apps.jobs.enqueueing import NewJob, enqueue_many

    bells = {"begun": 0, "ended": 0}
    publish = bell._ringer._publish

    def counted(task: str, queue: str) -> None:
        bells["begun"] += 1
        publish(task, queue)
        bells["ended"] += 1

    bell._ringer._publish = counted  # type: ignore[method-assign]

    def answer(asked: dict[str, Any]) -> Any:
        if asked["do"] == "bells":
            return bells
        options, lanes, run = asked["options"], asked["lanes"], asked["payloads"][0].get("run")
        jobs = [
            NewJob(asked["task"], payload, **options, lane=f"{run} {number % lanes}" if lanes else None)
            for number, payload in enumerate(asked["payloads"])
        ]
        with transaction.atomic():
            made = enqueue_many(jobs)
        return [job.id for job in made]

    def say(what: Any) -> None:
        sys.stdout.write(json.dumps(what) + "\n")
        sys.stdout.flush()

    say("ready")
    for line in sys.stdin:
        say(answer(json.loads(line)))


if __name__ == "__main__":
    main()
