"""Prefix share: how much of the prompts sent repeats the beginning of an earlier one.

What an endpoint with an unbounded prefix cache could reuse at most. Texts are compared in chunks of
64 bytes (about 18 tokens), much as serving engines keep their caches in blocks; a partly equal
chunk does not count. Each chunk is known by the hash of everything up to its end, so that a set of
hashes is a trie.
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b

import msgspec

from breeder.proposers.llm.model import Prompt

CHUNK = 64
"""Bytes of a chunk."""


class _State(msgspec.Struct):
    total: int = 0
    repeated: int = 0
    prompts: int = 0


class PrefixMeter:
    """Measures the prefix share over the prompts of a run.

    Args:
        capacity: most chunks remembered; the ones used longest ago are forgotten first, whole
            branches from their ends, so that long runs report what a bounded cache would see.
    """

    def __init__(self, *, capacity: int = 131_072) -> None:
        self._capacity = capacity
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self._counts = _State()

    def record(self, prompt: Prompt, *, samples: int = 1) -> float:
        """Take note of a prompt that is sent for so many answers; the share of it that repeats.

        With several answers the prompt counts as often: all but the first reuse it in full,
        whether the endpoint is asked once or several times.
        """
        text = f"{prompt.system}\0{prompt.text}{prompt.prefill}".encode("utf-8", "replace")
        chain = _chain(text)
        shared = next((i for i, key in enumerate(chain) if key not in self._known), len(chain))
        repeated = min(shared * CHUNK, len(text))
        # The end of a branch first, so that its beginning is the last to be forgotten.
        for key in reversed(chain):
            self._known[key] = None
            self._known.move_to_end(key)
        while len(self._known) > self._capacity:
            self._known.popitem(last=False)
        self._counts.total += samples * len(text)
        self._counts.repeated += repeated + (samples - 1) * len(text)
        self._counts.prompts += 1
        return repeated / len(text)

    @property
    def share(self) -> float:
        """Share of all prompt text so far that repeated a prefix; 0.0 before the first."""
        return self._counts.repeated / self._counts.total if self._counts.total else 0.0

    @property
    def prompts(self) -> int:
        """Number of prompts so far."""
        return self._counts.prompts

    def state(self) -> bytes:
        """What must survive a stop: the sums. What the endpoint has cached does not survive it."""
        return msgspec.msgpack.encode(self._counts)

    def restore(self, state: bytes) -> None:
        """Take up a state of an earlier process; tolerates `b""`."""
        if state:
            self._counts = msgspec.msgpack.decode(state, type=_State)


def _chain(text: bytes) -> list[bytes]:
    hasher = blake2b(digest_size=12)
    chain = []
    for begin in range(0, len(text), CHUNK):
        hasher.update(text[begin : begin + CHUNK])
        chain.append(hasher.copy().digest())
    return chain
