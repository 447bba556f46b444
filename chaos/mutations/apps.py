import os

from django.apps import AppConfig


class MutationsConfig(AppConfig):
    name = "chaos.mutations"

    def ready(self) -> None:
        from chaos.mutations.breaking import BREAKING, hurry

        if seconds := os.environ.get("MUTATION_LEASE"):
            hurry(float(seconds))
        if name := os.environ.get("MUTATION"):
            if name not in BREAKING:
                raise ValueError(f"MUTATION={name!r} is none of {', '.join(BREAKING)}")
            BREAKING[name]()
