"""UserParameters and settings: typed, and wrong ones named all at once."""

from dataclasses import dataclass, field

import pytest
from common.failures import WrongConfiguration
from common.fields import fill, one_of, whole
from common.settings import from_env


@dataclass(frozen=True)
class Params:
    name: str
    count: int = whole(1, 9)
    share: float = 0.5
    size: int = one_of(1024, 2048, default=1024)
    spot: bool = False
    tags: list[str] = field(default_factory=list)
    extra: dict[str, str] = field(default_factory=dict)


def filled(**values):
    return fill(Params, values, WrongConfiguration)


def faults(**values):
    with pytest.raises(WrongConfiguration) as raised:
        filled(**values)
    return str(raised.value)


def test_every_missing_and_every_unknown_name_is_told_at_once():
    told = faults(colour="red", shape="round")
    assert "lacks 'name', 'count'" in told
    assert "unknown 'colour', 'shape'" in told


def test_the_value_of_an_unknown_name_is_never_told():
    assert "hunter2" not in faults(name="a", count=1, password="hunter2")


def test_numbers_and_truths_may_come_as_text_for_templates_quote_them():
    params = filled(name="a", count="3", share="0.25", size="2048", spot="true")
    assert (params.count, params.share, params.size, params.spot) == (3, 0.25, 2048, True)


def test_an_empty_text_counts_as_not_given():
    assert filled(name="a", count=1, size="", tags="").size == 1024
    assert "lacks 'name'" in faults(name="", count=1)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"count": 10}, "'count' must be a whole number from 1 to 9, got 10"),
        ({"count": 1.5}, "'count' must be a whole number, got 1.5"),
        ({"count": True}, "'count' must be a whole number"),
        ({"count": "many"}, "'count' must be a whole number, got 'many'"),
        ({"size": 3000}, "'size' must be one of 1024, 2048, got 3000"),
        ({"share": "half"}, "'share' must be a number"),
        ({"spot": "maybe"}, "'spot' must be true or false, got 'maybe'"),
        ({"name": 7}, "'name' must be text, got 7"),
        ({"tags": "a,b"}, "'tags' must be a list of texts"),
        ({"tags": [1]}, "'tags' must be a list of texts, got list"),
        ({"extra": []}, "'extra' must be a JSON object, got list"),
    ],
)
def test_a_wrong_value_is_told_with_what_it_must_be(values, told):
    assert told in faults(**{"name": "a", "count": 1, **values})


@dataclass(frozen=True)
class Settings:
    unique_id: str
    kms_key_arn: str
    images_prefix: str = "images/"


def test_settings_name_every_missing_variable_at_once_and_as_it_is_spelt():
    with pytest.raises(WrongConfiguration, match="lacks UNIQUE_ID, KMS_KEY_ARN"):
        from_env(Settings, {"AWS_REGION": "us-east-1"})


def test_settings_ignore_the_rest_of_the_environment():
    environ = {"UNIQUE_ID": "kmm", "KMS_KEY_ARN": "arn", "PATH": "/bin", "IMAGES_PREFIX": "i/"}
    assert from_env(Settings, environ) == Settings("kmm", "arn", "i/")
