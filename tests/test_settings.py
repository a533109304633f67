"""Settings: wrong ones fail loudly and name the key."""

from __future__ import annotations

import dataclasses

import pytest

from sessionwatch import Settings


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
    ],
)
def test_wrong_setting_names_its_key(wrong, message):
    with pytest.raises(ValueError) as caught:
        Settings(**wrong)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_unknown_setting_is_refused():
    with pytest.raises(TypeError, match="stack"):
        Settings(stack="full")


def test_settings_do_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().stacks = "off"


@pytest.mark.parametrize(("token", "shown"), [(None, None), ("hush", "set")])
def test_token_is_hidden(token, shown):
    plain = Settings(token=token).to_dict()
    assert plain["token"] == shown
    assert set(plain) == {field.name for field in dataclasses.fields(Settings)}


def test_token_is_not_in_the_representation():
    assert "hush" not in repr(Settings(token="hush"))
