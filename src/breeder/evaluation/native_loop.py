"""What runs between the evaluator's two readings of the clock for compiled functions, in C.

It waits for the word, makes the prepared calls, answers, and does not return before there is
something to read, so that nothing in Python is timed. That would take some 0.4 us for each call and
10 us for each run, which a program could save by putting code of its own in its place; here there
is nothing left to save. It is compiled from the signatures alone, without any file of a candidate,
and serves every program of a task.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from breeder.core import NativeFunction
from breeder.evaluation import wire
from breeder.evaluation.limits import CHANNEL_LOST_STATUS
from breeder.evaluation.prepared import SCALARS

SOURCE = "loop.c"
_C_TYPES = {"int32": "int32_t", "int64": "int64_t", "float32": "float", "float64": "double"}

# Declared the same for C and for C++, as whatever compiles the program compiles this, too.
_HEAD = f"""\
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>
#ifdef __cplusplus
#define LOOP extern "C" void
#else
#define LOOP void
#endif
enum {{ TICKET = {wire.TICKET_BYTES}, LOST = {CHANNEL_LOST_STATUS} }};

static void receive(int channel, char *word)
{{
    for (int have = 0; have < TICKET;) {{
        const ssize_t more = recv(channel, word + have, TICKET - have, 0);
        if (more > 0) have += more;
        else if (more == 0 || errno != EINTR) _exit(LOST);
    }}
}}

static void answer(int channel, char *word)
{{
    word[TICKET] = {wire.DONE[0]};
    for (int sent = 0; sent <= TICKET;) {{
        const ssize_t more = send(channel, word + sent, TICKET + 1 - sent, 0);
        if (more > 0) sent += more;
        else if (errno != EINTR) _exit(LOST);
    }}
    struct pollfd next = {{channel, POLLIN, 0}};
    while (poll(&next, 1, -1) < 0 && errno == EINTR) continue;
}}
"""
_LOOP = """
LOOP {name}(int channel, {result} (*call)({types}),
    char *const *at, int64_t count, {result} *returned)
{{
    char word[TICKET + 1];
    const pid_t own = getpid();
    receive(channel, word);
    for (int64_t i = 0; i < count; i++, at += {width}) {keep}call({arguments});
    if (getpid() != own) _exit(0); /* a fork of the program; only the first may answer */
    answer(channel, word);
}}
"""


def source(functions: Mapping[str, NativeFunction]) -> str:
    """C with one loop for each function, named by `loop_name` of its position.

    A loop takes the descriptor of the worker's channel, the function's address, the addresses of
    all arguments of all calls one call after another (of arrays their first element, of scalars
    where their values lie), the number of calls, and where returned values go. It reads scalars
    when it passes them. For the word and the answer see `wire`; a channel that is lost ends the
    process.
    """
    return _HEAD + "".join(
        _loop(position, one.arguments, one.returns)
        for position, one in enumerate(functions.values())
    )


def loop_name(position: int) -> str:
    """Name of the loop for the function that is declared at this position, from 0."""
    return f"breeder_loop_{position}"


def command(compiler: str, output: str) -> list[str]:
    """The command line that compiles `SOURCE` into a shared library."""
    return [compiler, "-O2", "-shared", "-fPIC", "-o", output, SOURCE]


def _loop(position: int, types: Sequence[str], returns: str) -> str:
    result = "void" if returns == "void" else _C_TYPES[returns]
    return _LOOP.format(
        name=loop_name(position),
        types=", ".join(_C_TYPES.get(declared, "void *") for declared in types) or "void",
        result=result,
        width=len(types),
        keep="" if returns == "void" else "returned[i] = ",
        arguments=", ".join(_argument(index, declared) for index, declared in enumerate(types)),
    )


def _argument(index: int, declared: str) -> str:
    if declared not in SCALARS:
        return f"at[{index}]"
    return f"*(const {_C_TYPES[declared]} *)at[{index}]"
