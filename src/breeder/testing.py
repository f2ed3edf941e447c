"""Stand-ins for the outside world, for tests of tasks and of programs that use breeder."""

from breeder.proposers.llm.scripted_model import Asked, ScriptedModel
from breeder.proposers.scripted import ScriptedProposer

__all__ = ["Asked", "ScriptedModel", "ScriptedProposer"]
