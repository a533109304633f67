"""Settings: wrong ones fail loudly and name the key."""

from __future__ import annotations

import dataclasses
import json
import pickle

import pytest

from sessionwatch import Settings
from sessionwatch.setting_values import KINDS, SettingsError

NAMES = {field.name for field in dataclasses.fields(Settings) if field.init}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"stacks": "all"}, "stacks is 'all'; use one of off, caller, full"),
        ({"max_findings": 0}, "max_findings is 0; use a whole number from 1 up"),
        ({"max_routes": -1}, "max_routes is -1; use a whole number from 1 up"),
        ({"max_open_sessions": 1.5}, "max_open_sessions is 1.5; use a whole number"),
        ({"statement_length": "9"}, "statement_length is '9'; use a whole number"),
        ({"max_findings": None}, "max_findings is None; use a whole number"),
        ({"token": " "}, "token is empty; leave it out, or give it a value"),
        ({"token": 4711}, "token is of type int; use a string"),
        ({"max_routes": True}, "max_routes is True; use a whole number"),
        ({"stacks": ["full"]}, "stacks is ['full']; use one of"),
        ({"log_findings": 1}, "log_findings is 1; use true or false"),
        (
            {"idle_hold_seconds": 0},
            "idle_hold_seconds is 0; use a number of seconds above 0, or none",
        ),
        ({"idle_hold_seconds": True}, "idle_hold_seconds is True; use a number"),
        ({"stream_hold_seconds": -1}, "stream_hold_seconds is -1; use a number"),
        ({"loop_blocked_seconds": "fast"}, "loop_blocked_seconds is 'fast'; use a number"),
        ({"loop_blocked_seconds": float("nan")}, "loop_blocked_seconds is nan; use a number"),
        ({"loop_blocked_seconds": float("inf")}, "loop_blocked_seconds is inf; use a number"),
        ({"idle_hold_seconds": 10**400}, "idle_hold_seconds is 1000"),
        (
            {"child_task_grace_seconds": -0.1},
            "child_task_grace_seconds is -0.1; use a number of seconds from 0",
        ),
        ({"select": "SW1"}, "select is 'SW1'; use a list of codes"),
        ({"ignore": {"SW101"}}, "ignore is {'SW101'}; use a list of codes"),
        ({"ignore": ["SW310"]}, "ignore has the unknown code 'SW310'; did you mean 'SW301'?"),
        ({"ignore": [""]}, "ignore has the unknown code ''; did you mean 'SW"),
        ({"extend_select": [101]}, "extend_select has the unknown code 101; did you mean 'SW101'?"),
        ({"redact": "sql"}, "redact is 'sql'; use a list of sql, stacks, paths"),
        ({"redact": ["stack"]}, "redact has the unknown part 'stack'; did you mean 'stacks'?"),
        ({"redact": [1]}, "redact has the unknown part 1; did you mean "),
        ({"token": "\ud800"}, "token has characters that no header can carry"),
        ({"per_route_ignores": ["SW101"]}, "per_route_ignores is ['SW101']; use a table of codes"),
        (
            {"per_route_ignores": {"GET /a": "SW101"}},
            "per_route_ignores['GET /a'] is 'SW101'; use a list",
        ),
        (
            {"per_route_ignores": {"GET /a": ["SW9"]}},
            "per_route_ignores['GET /a'] has the unknown code 'SW9'",
        ),
        (
            {"per_route_ignores": {" ": ["SW1"]}},
            "per_route_ignores has the route ' '; use one like",
        ),
    ],
)
def test_wrong_setting_names_its_key(wrong, message):
    with pytest.raises(ValueError) as caught:
        Settings(**wrong)
    assert str(caught.value).startswith(message)
    assert str(caught.value).endswith("(keyword of Settings)")
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, SettingsError)


def test_unknown_setting_is_refused():
    with pytest.raises(TypeError, match="stack"):
        Settings(stack="full")


def test_every_setting_is_checked():
    assert set(KINDS) == NAMES


@pytest.mark.parametrize("none", [None, "none", "off", "None"])
def test_thresholds_can_be_turned_off(none):
    for name in ("idle_hold_seconds", "stream_hold_seconds", "loop_blocked_seconds"):
        assert getattr(Settings(**{name: none}), name) is None


def test_lists_and_lower_case_are_taken():
    settings = Settings(ignore=["sw101", " SW2"], per_route_ignores={"GET /a ": ["sw301"]})
    assert settings.ignore == ("SW101", "SW2")
    assert settings.per_route_ignores == {"GET /a": ("SW301",)}


def test_settings_are_a_value():
    routes = {"GET /a": ["SW101"]}
    settings = Settings(per_route_ignores=routes, max_routes=3)
    routes["GET /b"] = ["SW102"]
    assert settings == Settings(per_route_ignores={"GET /a": ("SW101",)}, max_routes=3)
    assert hash(settings) == hash(Settings(per_route_ignores={"GET /a": ("SW101",)}, max_routes=3))
    assert pickle.loads(pickle.dumps(settings)) == settings
    assert dataclasses.replace(settings, max_routes=4).per_route_ignores == {"GET /a": ("SW101",)}


def test_token_is_not_in_an_error():
    with pytest.raises(SettingsError) as caught:
        Settings(token=["hush"])
    assert "hush" not in str(caught.value)


def test_json_gives_the_settings_back():
    plain = Settings(ignore=["SW1"], per_route_ignores={"GET /a": ["SW301"]}).to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["per_route_ignores"] == {"GET /a": ["SW301"]}
    assert Settings(**plain).to_dict() == plain


def test_settings_do_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().stacks = "off"


@pytest.mark.parametrize(("token", "shown"), [(None, None), ("hush", "set")])
def test_token_is_hidden(token, shown):
    plain = Settings(token=token).to_dict()
    assert plain["token"] == shown
    assert set(plain) == NAMES


def test_token_is_not_in_the_representation():
    assert "hush" not in repr(Settings(token="hush"))
