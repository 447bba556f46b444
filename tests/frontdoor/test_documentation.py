"""The API documents itself: every operation, every refusal, an example of everything that is sent."""

import pytest

from project.api import api

pytestmark = pytest.mark.django_db
SCHEMA = api.get_openapi_schema(path_prefix="/api/")
OPERATIONS = {
    f"{method} {path}": operation
    for path, methods in SCHEMA["paths"].items()
    for method, operation in methods.items()
}


def test_every_path_is_there():
    assert set(OPERATIONS) >= {
        "post /api/v1/messages",
        "get /api/v1/messages/{message_id}",
        "get /api/v1/conversations/{conversation_id}",
        "get /api/v1/breakers",
        "post /api/v1/breakers/{name}/reset",
        "post /api/v1/widget/conversations",
        "post /api/v1/widget/messages",
        "get /api/v1/widget/messages",
    }


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_says_how_it_refuses(name):
    operation = OPERATIONS[name]
    declared = {int(status) for status in operation["responses"]}
    expected = {503}
    if "requestBody" in operation:
        expected |= {400, 411, 413, 415, 422}
    if "security" in operation:
        expected |= {401, 403}
    assert declared >= expected
    assert operation["summary"]
    for status, response in operation["responses"].items():
        if int(status) >= 400:
            (content,) = response["content"].values()
            assert content["schema"]["$ref"].endswith("/ProblemOut")


def test_what_is_sent_has_examples():
    for name in ("MessageIn", "ContactIn", "WidgetStart", "WidgetMessageIn", "BreakerReset"):
        for field, shape in SCHEMA["components"]["schemas"][name]["properties"].items():
            assert "examples" in shape or "$ref" in shape, f"{name}.{field}"


def test_the_ways_in_are_named():
    assert set(SCHEMA["components"]["securitySchemes"]) == {"BearerKey", "HeaderKey", "ConversationToken"}


def test_the_pages(client):
    assert client.get("/api/docs").status_code == 200
    assert client.get("/api/openapi.json").json()["openapi"].startswith("3.")
