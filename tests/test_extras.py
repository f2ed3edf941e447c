import json

import pytest

from breeder.errors import UserError
from breeder.extras import required


def test_an_installed_module_is_returned():
    assert required("json", purpose="nothing") is json


def test_a_missing_one_names_the_extra():
    with pytest.raises(UserError) as caught:
        required("no_such_package.part", purpose="a model", extra="models")
    assert str(caught.value) == (
        "a model needs no_such_package; run: pip install 'breeder[models]'"
    )
