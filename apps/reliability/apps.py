from django.apps import AppConfig


class ReliabilityConfig(AppConfig):
    name = "apps.reliability"
    verbose_name = "Reliability"
