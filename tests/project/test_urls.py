"""Health, admin, and refusals that have one shape whatever went wrong."""

import pytest
from django.db import DatabaseError, connection


@pytest.mark.django_db
def test_healthy(client):
    answer = client.get("/healthz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "database": "ok"}
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.django_db
def test_unhealthy_without_its_database_and_without_details(client, monkeypatch):
    def broken(*_):
        raise DatabaseError("connection to db.example.com as secret-user failed")

    monkeypatch.setattr(connection, "cursor", broken)
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert "secret-user" not in answer.content.decode()


@pytest.mark.django_db
def test_health_is_only_read(client):
    assert client.post("/healthz").status_code == 405


@pytest.mark.django_db
def test_health_answers_without_tls_where_the_rest_redirects(client, settings):
    settings.SECURE_SSL_REDIRECT = True
    assert client.get("/healthz").status_code == 200
    assert client.get("/admin/").status_code == 301


@pytest.mark.django_db
def test_the_admin_asks_who_is_there(client):
    answer = client.get("/admin/", follow=True)
    assert answer.status_code == 200
    assert b"Switchboard" in answer.content


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api/nothing"])
def test_an_unknown_path_of_the_api_is_a_problem(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/problem+json"
    assert {"type", "title", "status", "detail"} <= set(answer.json())


@pytest.mark.django_db
def test_the_api_describes_itself(client):
    assert client.get("/api/docs").status_code == 200
    described = client.get("/api/openapi.json").json()
    assert described["info"]["title"] == "Switchboard"
    assert "/api/v1/messages" in described["paths"]


@pytest.mark.django_db
def test_a_body_of_ten_megabytes_is_refused(client):
    answer = client.post("/api/v1/messages", data=b"x" * 10_000_000, content_type="application/json")
    assert answer.status_code == 413
    assert answer["Content-Type"] == "application/problem+json"


def test_a_body_too_large_for_django_has_the_same_shape(rf):
    from django.core.exceptions import RequestDataTooBig

    from project.api import api

    answer = api.on_exception(rf.post("/api/v1/messages"), RequestDataTooBig("too big"))
    assert answer.status_code == 413
    assert answer["Content-Type"] == "application/problem+json"
