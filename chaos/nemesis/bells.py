"""Bells that nobody rang, from a program with the code.

python -m chaos.nemesis.bells 50         fifty for each task of the pipeline
python -m chaos.nemesis.bells --purge    none are left
"""

import sys

TASKS = {
    "pipeline.receive_message": "incoming-messages",
    "pipeline.generate_reply": "ai-processing",
    "delivery.send_telegram": "telegram-send",
}


def main() -> None:
    import django

    django.setup()

    from project.celery import app

    if sys.argv[1] == "--purge":
        with app.connection_for_write() as connection:
            for queue in TASKS.values():
                connection.default_channel.queue_purge(queue)
        return
    for task, queue in TASKS.items():
        for _ in range(int(sys.argv[1])):
            app.send_task(task, queue=queue)


if __name__ == "__main__":
    main()
