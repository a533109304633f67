"""What `/openapi.json` says of the page, and whether the page keeps to it."""

import pytest

from sessionwatch import Settings
from sessionwatch.web import models

from .conftest import KEYS, PATH, ask


def test_openapi_describes_it(app):
    schema = ask(app, "/openapi.json").json()
    operation = schema["paths"][PATH]["get"]
    parameters = ["format", "route", "code", "search", "sort", "offset", "limit"]
    assert [each["name"] for each in operation["parameters"]] == parameters
    assert all(each["description"] for each in operation["parameters"])
    assert set(operation["responses"]) == {"200", "403", "422"}
    report = schema["components"]["schemas"]["SessionWatchReport"]
    assert set(report["properties"]) == KEYS


def test_openapi_describes_every_key(app):
    schemas = ask(app, "/openapi.json").json()["components"]["schemas"]
    ours = {name: each for name, each in schemas.items() if name.startswith("SessionWatch")}
    undescribed = [
        (name, key)
        for name, schema in ours.items()
        for key, value in schema.get("properties", {}).items()
        if "description" not in value
    ]
    assert len(ours) >= 10
    assert undescribed == []


@pytest.mark.parametrize("watch_settings", [Settings(token="key"), Settings()])
def test_openapi_asks_for_the_token_only_where_there_is_one(app, watch_settings):
    schema = ask(app, "/openapi.json").json()
    asked = "security" in schema["paths"][PATH]["get"]
    assert asked is (watch_settings.token is not None)
    assert ("securitySchemes" in schema["components"]) is asked


def test_the_models_name_every_key_that_is_answered(report):
    def keys(model):
        return {field.alias or name for name, field in model.model_fields.items()}

    (session,), (finding,), (pool,) = report["open_sessions"], report["findings"], report["pools"]
    answered = [
        (report, models.SessionWatchReport),
        (report["totals"], models.SessionWatchNumbers),
        (report["routes"]["GET /fine"], models.SessionWatchNumbers),
        (session, models.SessionWatchOpenSession),
        (session["owner"], models.SessionWatchOwner),
        (finding, models.SessionWatchFinding),
        (finding["opened_at"], models.SessionWatchPlace),
        (finding["stack"][0], models.SessionWatchFrame),
        (pool, models.SessionWatchPool),
        (report["internal_errors"], models.SessionWatchInternalErrors),
    ]
    for part, model in answered:
        assert set(part) == keys(model), model
        model.model_validate(part)
