from collections.abc import Iterator

import pytest
from tests.proposers.llm.fake_server import FakeServer, completion, html, usage
from tests.proposers.llm.timing import MadeUpTime

from breeder.proposers.llm.endpoint import EndpointModel
from breeder.proposers.llm.member import Member, MemberSettings
from breeder.proposers.llm.model import LanguageModel, LossKind, ModelError
from breeder.proposers.llm.scripted_model import ScriptedModel
from breeder.proposers.llm.settings import ModelConfig
from conformance.language_model import LanguageModelSuite

LOST = ModelError(LossKind.SERVER, "503")


class TestScriptedModel(LanguageModelSuite):
    @pytest.fixture
    def model(self) -> LanguageModel:
        return ScriptedModel(["x = 1"])

    @pytest.fixture
    def silent(self) -> LanguageModel:
        return ScriptedModel([LOST])


@pytest.mark.parametrize("together", [True, False])
class TestMember(LanguageModelSuite):
    @pytest.fixture
    def model(self, together: bool) -> LanguageModel:
        return Member(ScriptedModel(["x = 1"]), MemberSettings(n=together))

    @pytest.fixture
    def silent(self, together: bool) -> LanguageModel:
        timing = MadeUpTime().timing()
        return Member(ScriptedModel([LOST]), MemberSettings(n=together), timing=timing)


class TestEndpointModel(LanguageModelSuite):
    @pytest.fixture
    def model(self) -> Iterator[LanguageModel]:
        with FakeServer([completion("x = 1", "x = 2", usage=usage(30, 8, cached=10))]) as server:
            yield EndpointModel(ModelConfig(name="m", endpoint=server.address))

    @pytest.fixture
    def silent(self) -> Iterator[LanguageModel]:
        with FakeServer([html()]) as server:
            yield EndpointModel(ModelConfig(name="m", endpoint=server.address))
