from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class JobsConfig(AppConfig):
    name = "apps.jobs"
    verbose_name = "Jobs"

    def ready(self) -> None:
        from apps.jobs import outside, working

        autodiscover_modules("tasks")  # every process may enqueue any task by its name
        outside.install()
        working.install()
