import ast
import builtins
import random
import symtable
import warnings
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breeder.proposers import trees
from breeder.proposers.edits.change import Material
from breeder.proposers.fingerprint import fingerprint
from breeder.proposers.proposer import Grammar
from breeder.proposers.recombination import RecombinationProposer
from breeder.proposers.syntax import C_EDITS, EDITS, SyntaxProposer
from breeder.proposers.trees import read
from breeder.proposers.tuning import TuningProposer
from breeder.regions import frozen_text
from conformance.proposer import ProposerConformance

from .programs import FILES, PACKING, block, draw, elite, grammar, outcome, population, propose

NESTS = """// EVOLVE-BLOCK-START
void sum(const float *x, float *y, int n, int m) {
    const int wide = 8;
    float sums[wide] = {};
    float total = 0.0f;
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < m; j++) {
            y[j] += x[i * m + j] * 0.5f;
        }
    }
    float *part = y + m;
    for (int i = 0; i < 4; i++) {
        sums[i] += x[i];
        part[i] -= 2.5f;
    }
    for (int i = 0; i < 4; i++) {
        if (total < 9.5f && n > m)
            total += sums[i];
    }
    y[0] = total;
}

void product(const float *x, const float *y, float *z, float total, int n) {
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < n; k++) {
            for (int j = 0; j < n; j++) {
                z[i * n + j] += x[i * n + k] * y[k * n + j];
            }
        }
    }
    for (int i = 0; i < n; i++)
        z[i] = expf(z[i]) / total;
    for (int i = 0; i < n; i++) {
        float part = 0.0f;
        for (int j = 0; j < 8; j++)
            part += x[i * 8 + j];
        z[0] += part * y[i];
    }
}
// EVOLVE-BLOCK-END
"""


class TestConformance(ProposerConformance):
    def make(self, grammar):
        return SyntaxProposer(grammar)


def undefined(text):
    """Names that a Python text reads and binds nowhere it could see them; a rough static check."""
    table = symtable.symtable(text, "<program>", "exec")
    known = set(dir(builtins)) | {s.get_name() for s in table.get_symbols() if s.is_assigned()}
    known |= {s.get_name() for s in table.get_symbols() if s.is_imported() or s.is_namespace()}
    missing = set()
    stack = [table]
    while stack:
        scope = stack.pop()
        stack += scope.get_children()
        missing |= {
            s.get_name()
            for s in scope.get_symbols()
            if s.is_referenced() and s.is_global() and s.get_name() not in known
        }
    return missing | read_before_assignment(text)


def read_before_assignment(text):
    """Locals whose first line of use in a function precedes every line that binds them."""
    missing = set()
    for function in ast.walk(ast.parse(text)):
        if not isinstance(function, ast.FunctionDef):
            continue
        bound, used = {}, {}
        for node in ast.walk(function):
            if isinstance(node, ast.Name):
                table = bound if isinstance(node.ctx, ast.Store) else used
                table[node.id] = min(table.get(node.id, 10**9), node.lineno)
        names = {a.arg for a in function.args.args}
        missing |= {n for n in used if n in bound and n not in names and used[n] < bound[n]}
    return missing


def check_proposals(language, count):
    proposer = SyntaxProposer(grammar(language))
    elites = population(proposer, language, 12)
    rules = grammar(language)
    fixed = frozen_text(FILES[language], rules.regions(FILES[language]))
    rng = random.Random(5)
    clean = 0
    for _ in range(count):
        parent, *others = rng.sample(elites, 3)
        made = propose(proposer, draw(parent, *others, rng=rng))
        assert made is not None
        text = made.files["program"]
        assert fingerprint(made.files, rules).parses
        assert frozen_text(text, rules.regions(text)) == fixed
        if language == "python":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                compile(text, "<program>", "exec")
            clean += not (undefined(text) - undefined(parent.program.files["program"]))
    if language == "python":
        assert clean >= 0.9 * count


@pytest.mark.parametrize("language", FILES)
def test_every_proposal_parses_and_keeps_the_frozen_text(language):
    check_proposals(language, 150)


@pytest.mark.slow
@pytest.mark.parametrize("language", FILES)
def test_two_thousand_proposals_parse_and_keep_the_frozen_text(language):
    check_proposals(language, 2000)


@pytest.mark.parametrize("language", [name for name in FILES if name != "cpp"])
def test_every_kind_of_edit_occurs(language):
    seen = Counter()
    proposer = SyntaxProposer(grammar(language))
    for seed in range(250):
        seen.update(propose(proposer, draw(elite(FILES[language]), seed=seed)).ticket)
    if language == "python":
        assert set(seen) == set(EDITS)
    else:
        assert set(seen) - set(C_EDITS) <= set(EDITS)
        assert len(set(seen) & set(EDITS)) > 8


def test_programs_of_the_c_family_are_transformed_more_than_their_expressions_are_edited():
    seen = Counter()
    proposer = SyntaxProposer(grammar("cpp"))
    for seed in range(120):
        seen.update(propose(proposer, draw(elite(NESTS), seed=seed)).ticket)
    frequent = {kind for kind, (_, weight) in C_EDITS.items() if weight >= 2.0}
    assert set(seen) >= frequent
    assert sum(seen[kind] for kind in C_EDITS) > sum(seen[kind] for kind in EDITS) > 0


@pytest.mark.parametrize("kind", EDITS)
def test_every_kind_of_edit_finds_a_place_in_a_program_of_the_c_family(kind):
    source = read(NESTS, "cpp", whole=False)
    made = (EDITS[kind][0](Material(source, (source,), random.Random(n))) for n in range(60))
    assert any(edit is not None for edit in made)


@pytest.mark.parametrize("maker", [SyntaxProposer, TuningProposer, RecombinationProposer])
def test_equal_seeds_give_equal_proposals_of_kernels(maker):
    texts = [NESTS, NESTS.replace("i < 4", "i < n"), NESTS.replace("int wide = 8", "int wide = 2")]
    runs = []
    for _ in range(2):
        proposer, made, rng = maker(grammar("cpp")), [], random.Random(7)
        for number in range(60):
            parents = [elite(text, name=f"p{k}") for k, text in enumerate(texts)]
            one = propose(proposer, draw(*parents, rng=rng))
            made.append(one and (one.files, one.parents, one.note))
            if one is not None:
                proposer.learn(outcome(one, float(number % 5), placed=number % 3 == 0))
        runs.append(made)
        trees.read.cache_clear()
        trees.raw_tree.cache_clear()
    assert runs[0] == runs[1]
    assert len({one[0]["program"] for one in runs[0] if one}) > 3


def test_edits_mostly_come_alone():
    proposer = SyntaxProposer(grammar("python"))
    counts = Counter(
        len(propose(proposer, draw(elite(PACKING), seed=s)).ticket) for s in range(300)
    )
    assert 0.6 < counts[1] / 300 < 0.95
    assert max(counts) <= 4


def test_the_note_names_the_edit_and_the_function():
    text = block("def score(x, best):\n    if x > 3:\n        return best\n    return x\n")
    notes = {
        propose(SyntaxProposer(grammar("python")), draw(elite(text), seed=s)).note
        for s in range(300)
    }
    assert any(n.startswith("replace condition in score(): x > 3 -> ") for n in notes)
    assert all("in score()" in n for n in notes)


def test_assignment_targets_stay_names():
    text = block("def f(a, b):\n    x = a + b\n    x[a] = b\n    return x\n")
    rng = random.Random(1)
    for _ in range(400):
        made = propose(SyntaxProposer(grammar("python")), draw(elite(text), rng=rng))
        for node in ast.walk(ast.parse(made.files["program"])):
            if isinstance(node, ast.Assign):
                assert isinstance(node.targets[0], ast.Name | ast.Subscript)


def test_line_ends_and_tabs_are_kept():
    text = block("def f(x, y):\n\tz = x * 2.5\n\tif x > 1:\n\t\tz += y\n\treturn z\n")
    text = text.replace("\n", "\r\n")
    rng = random.Random(2)
    for _ in range(200):
        made = propose(SyntaxProposer(grammar("python")), draw(elite(text), rng=rng))
        new = made.files["program"]
        assert "\n" not in new.replace("\r\n", "")
        assert not any(line.startswith(" ") for line in new.splitlines())


def test_unparsable_parents_and_unknown_languages_are_edited_by_lines():
    for text, language in ((block("def f(:\n  x = 3.5\n"), "python"), (block("a 2.5\nb\n"), "x")):
        made = propose(SyntaxProposer(grammar(language)), draw(elite(text)))
        assert made is not None
        assert made.ticket == ("lines",)


def test_only_the_rewarded_kind_gains_weight():
    proposer = SyntaxProposer(grammar("python"))
    before = proposer.weights()
    for seed in range(200):
        made = propose(proposer, draw(elite(PACKING), seed=seed))
        good = "change number" in made.ticket
        proposer.learn(outcome(made, 1.0 if good else -1.0, placed=good))
    after = proposer.weights()
    ratio = {kind: after[kind] / before[kind] for kind in after}
    assert max(ratio, key=ratio.get) == "change number"
    assert all(0.25 <= r <= 4.0 for r in ratio.values())
    again = SyntaxProposer(grammar("python"))
    again.restore(proposer.state())
    assert again.weights() == after


def test_several_files_are_all_edited():
    files = {"a.py": PACKING, "b.c": FILES["c"]}
    rules = Grammar({"a.py": "python", "b.c": "c"})
    one = elite("")
    parent = type(one)(type(one.program)("two", files), one.evaluation, 0.0)
    changed = Counter()
    for seed in range(60):
        made = propose(SyntaxProposer(rules), draw(parent, seed=seed))
        changed.update(p for p in files if made.files[p] != files[p])
    assert set(changed) == set(files)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    body=st.text(alphabet="abx01 .+-*/=<>()[]:,\n\t#'é\r", max_size=120),
    seed=st.integers(0, 2**32),
    language=st.sampled_from(["python", "c", "cpp", "none"]),
)
def test_any_text_between_markers_leaves_the_frozen_text_alone(body, seed, language):
    text = f"head = 1\n# EVOLVE-BLOCK-START\n{body}\n# EVOLVE-BLOCK-END\ntail = é\n"
    rules = grammar(language)
    made = propose(SyntaxProposer(rules), draw(elite(text), seed=seed))
    if made is not None:
        new = made.files["program"]
        assert frozen_text(new, rules.regions(new)) == frozen_text(text, rules.regions(text))
        if read(text, language, whole=False) is not None:
            assert fingerprint(made.files, rules).parses
