from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from zhiliu.serve.app import create_app
from zhiliu.settings import ServeSettings, Settings, SettingsError, load
from zhiliu.store import Store
from zhiliu.testing.server import serving

KEY = "a-long-random-key"


@pytest.fixture
def guarded(settings: Settings, store: Store) -> Iterator[httpx.Client]:
    keyed = settings.model_copy(update={"serve": ServeSettings(api_keys=("another-long-random-key", KEY))})
    with serving(create_app(keyed, store)) as address, httpx.Client(base_url=address) as client:
        yield client


@pytest.mark.parametrize("headers", [{"authorization": f"Bearer {KEY}"}, {"x-api-key": KEY}])
def test_a_known_key_opens_the_api(guarded: httpx.Client, headers: dict[str, str]) -> None:
    assert guarded.get("/api/v1/models", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers", [{}, {"x-api-key": "guess"}, {"authorization": f"Basic {KEY}"}, {"x-api-key": KEY[:-1]}]
)
def test_no_key_or_a_wrong_one_is_a_401(guarded: httpx.Client, headers: dict[str, str]) -> None:
    answer = guarded.get("/api/v1/models", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["title"] == "Unauthorized"


SPELLINGS = [
    "/api/v1/models",
    "//api/v1/models",
    "///api/v1/models",
    "/api//v1/models",
    "/API/v1/models",
    "/api/v1/models/",
    "/./api/v1/models",
    "/%61pi/v1/models",
    "/%2Fapi/v1/models",
    "/%2e/api/v1/models",
    "/static/../api/v1/models",
    "/static/..//api/v1/models",
    "/healthz/../api/v1/models",
    "//metrics",
    "/metrics/",
]


def status_as_it_is(client: httpx.Client, path: str) -> int:
    """Of the address as it is written: httpx tidies it up before it sends."""
    connection = http.client.HTTPConnection(client.base_url.host, client.base_url.port or 80)
    with contextlib.closing(connection):
        connection.request("GET", path)
        return connection.getresponse().status


@pytest.mark.parametrize("path", SPELLINGS)
def test_no_spelling_of_an_address_gets_around_the_keys(guarded: httpx.Client, path: str) -> None:
    assert status_as_it_is(guarded, path) == 401


def test_an_empty_token_is_never_a_key(settings: Settings, store: Store) -> None:
    careless = settings.model_copy(update={"serve": settings.serve.model_copy(update={"api_keys": ("",)})})
    with serving(create_app(careless, store)) as address, httpx.Client(base_url=address) as client:
        for headers in ({}, {"x-api-key": ""}, {"authorization": "Bearer"}):
            assert client.get("/api/v1/models", headers=headers).status_code == 401


@pytest.mark.parametrize(
    "keys", [("",), (KEY, " " * 20), ("short",), ("x" * 15,), ("a key with blanks in it",)]
)
def test_a_key_that_can_be_guessed_is_a_settings_error_without_the_key(
    tmp_path: Path, keys: tuple[str, ...]
) -> None:
    (tmp_path / "zhiliu.toml").write_text(f"[serve]\napi_keys = {json.dumps(keys)}\n", "utf-8")
    with pytest.raises(SettingsError, match=r"serve\.api_keys: .*16 characters") as error:
        load(tmp_path)
    assert "short" not in str(error.value)
    assert KEY not in str(error.value)


def test_health_and_the_page_need_no_key_and_metrics_do(guarded: httpx.Client) -> None:
    for path in ("/healthz", "/readyz", "/", "/schema", "/static/feed.js"):
        assert guarded.get(path).status_code == 200, path
    assert guarded.get("/metrics").status_code == 401
    assert guarded.get("/metrics", headers={"x-api-key": KEY}).status_code == 200


def test_a_keyless_server_answers_only_to_loopback_names(client: httpx.Client) -> None:
    assert client.get("/healthz", headers={"host": "evil.example:8000"}).status_code == 400
    assert client.get("/healthz", headers={"host": "localhost:8000"}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/healthz", "/nowhere", "/api/v1/feed", "/static/feed.js"])
def test_every_answer_carries_security_headers(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'self'; script-src 'self'")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-request-id"]


def test_a_harmless_request_id_is_kept_and_another_replaced(client: httpx.Client) -> None:
    assert client.get("/healthz", headers={"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"
    assert client.get("/healthz", headers={"x-request-id": "a b\t<c>"}).headers["x-request-id"] != "a b\t<c>"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/api/v1/nowhere", 404),
        ("DELETE", "/api/v1/events", 405),
        ("POST", "/", 405),
    ],
)
def test_wrong_addresses_and_methods_are_problems(
    client: httpx.Client, method: str, path: str, status: int
) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.json()["status"] == status


def test_metrics_count_by_template_and_never_by_id(client: httpx.Client) -> None:
    client.get("/api/v1/videos/v7")
    client.get("/api/v1/feed", params={"person_id": "somebody-special"})
    text = client.get("/metrics").text
    assert (
        'zhiliu_http_requests_total{method="GET",route="/api/v1/videos/{video_id}",status="200"} 1.0' in text
    )
    assert "somebody-special" not in text
    assert "v7" not in text


def test_the_openapi_document_names_every_route(client: httpx.Client) -> None:
    document = client.get("/schema").json()
    wanted = {
        "/api/v1/events": {"post"},
        "/api/v1/feed": {"get"},
        "/api/v1/feed/{request_id}/{video_id}/why": {"get"},
        "/api/v1/videos/{video_id}": {"get", "put", "delete"},
        "/api/v1/videos/batch": {"post"},
        "/api/v1/videos/{video_id}/similar": {"get"},
        "/api/v1/people/{person_id}": {"get", "put", "delete"},
        "/api/v1/people/batch": {"post"},
        "/api/v1/models": {"get"},
        "/healthz": {"get"},
        "/readyz": {"get"},
        "/metrics": {"get"},
    }
    assert {path: set(document["paths"][path]) for path in wanted} == wanted
    body = document["paths"]["/api/v1/events"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert "event_id" in body["items"]["properties"]
    assert set(document["paths"]) == set(wanted)
