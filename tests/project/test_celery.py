"""What a worker tells whoever asks through the broker."""

from django.conf import settings

from project.celery import app, keep_the_configuration_home


def test_the_configuration_does_not_travel_through_the_broker():
    from celery.worker.control import Panel

    keep_the_configuration_home()
    for name in ("conf", "dump_conf"):
        answer = repr(Panel.data[name](None, with_defaults=True))
        assert settings.SECRET_KEY not in answer
        assert "redis" not in answer
        assert ".env.example" in answer
    assert "REDIS_URL" in app.conf.table(censored=False)  # what would have been sent
