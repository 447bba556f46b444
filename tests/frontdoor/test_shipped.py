"""The files that run in visitors' browsers: how they are served, and that they stay small."""

import gzip
import re

import pytest
from django.test import Client

from apps.frontdoor import shipped

AT_LOAD = 3_500
"""Bytes that a page pays for embedding the launcher, compressed."""
WHEN_OPENED = 21_000
"""Bytes that follow when the chat is opened, compressed, all files together."""


@pytest.fixture
def client() -> Client:
    return Client()


def test_the_widget_stays_small():
    shipment = shipped.shipment()
    # The page of its own has these beside the widget's.
    opened = {name: file for name, file in shipment.files.items() if not name.startswith(("page.", "icon."))}
    assert len(shipment.loader.compressed) < AT_LOAD
    assert sum(len(file.compressed) for file in opened.values()) < WHEN_OPENED


def test_the_loader_is_kept_a_while_and_then_asked_for_with_its_tag(client):
    response = client.get("/widget.js")
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/javascript")
    assert "max-age=300" in response["Cache-Control"]
    assert response["Access-Control-Allow-Origin"] == "*"
    assert response["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert not response.cookies
    again = client.get("/widget.js", headers={"If-None-Match": f'W/"other", {response["ETag"]}'})
    assert again.status_code == 304
    assert not again.content


def test_it_names_the_version_of_the_rest_which_may_be_kept_for_ever(client):
    script = client.get("/widget.js").content.decode()
    assert shipped.VERSION_MARK not in script
    version = shipped.shipment().version
    assert f"widget/{version}/embed.js" in script
    response = client.get(f"/widget/{version}/embed.js")
    assert "immutable" in response["Cache-Control"]
    assert response["Access-Control-Allow-Origin"] == "*"
    for module in re.findall(r'from "\./([^"]+)"', response.content.decode()):
        assert client.get(f"/widget/{version}/{module}").status_code == 200


def test_an_old_version_gets_what_there_is_and_must_not_keep_it(client):
    response = client.get("/widget/0123456789ab/embed.js")
    assert response.status_code == 200
    assert response["Cache-Control"] == "no-cache"


def test_compressed_where_the_browser_can(client):
    plain = client.get("/widget.js")
    small = client.get("/widget.js", headers={"Accept-Encoding": "br, gzip"})
    assert small["Content-Encoding"] == "gzip"
    assert gzip.decompress(small.content) == plain.content
    assert plain["Vary"] == small["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize("name", ["none.js", "widget.js", "..", "page.html"])
def test_what_is_not_shipped(client, name):
    assert client.get(f"/widget/{shipped.shipment().version}/{name}").status_code == 404


def test_comments_stay_at_home():
    for file in (shipped.shipment().loader, *shipped.shipment().files.values()):
        assert not re.search(rb"^\s*//", file.body, flags=re.MULTILINE)


def test_other_files_make_another_version(monkeypatch, tmp_path):
    for path in shipped.HOME.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(shipped, "HOME", tmp_path)
    before = shipped._read()
    (tmp_path / "api.js").write_text((tmp_path / "api.js").read_text() + "\nexport const more = 1;\n")
    after = shipped._read()
    assert before.version == shipped.shipment().version
    assert after.version != before.version
    assert after.loader.tag != before.loader.tag
