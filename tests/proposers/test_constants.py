import pytest

from breeder.proposers.constants import Constant, find, template
from breeder.proposers.proposer import Grammar

from .programs import FILES, block, grammar


def constants(body, language="python"):
    return find(block(body), "program", grammar(language))


def tunable(body, language="python"):
    return [c.text.decode() for c in constants(body, language) if not c.structural]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("x = 2.5 * a + 30\n", ["2.5", "30"]),
        ("x = -2.5\n", ["-2.5"]),
        ("x = a[3] + a[1:5]\n", []),
        ("for i in range(7):\n    f(i, 0.5)\n", ["0.5"]),
        ("x = np.sum(a, axis=3) * 4\n", ["4"]),
        ("x = a ** 2 + a ** 1.5\n", ["1.5"]),
        ("x = np.zeros(8) + 9\n", ["9"]),
        ("x = True\n", []),
        ("best = 1e18\n", []),
        ("total = 0.0\ntotal += a * 0.5\n", ["0.5"]),
        ("bias = 0.0\n", ["0.0"]),
        ("w = [0.0, 1, 2.5]\n", ["0.0", "1", "2.5"]),
        ("mask = 0xff\n", []),
        ("x = a + 1\n", []),
    ],
)
def test_structure_is_told_from_quantities(body, expected):
    assert tunable(body) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("x = fmax(0.0f, a) * 2.5f;", ["2.5f"]),
        ("b[0] = 0.0f;", []),
        ("return 0.0f;", []),
        ("float bias = 0.0f;", ["0.0f"]),
    ],
)
def test_a_zero_needs_a_name_in_c_to_be_a_quantity(line, expected):
    text = "float f(float a, float *b)\n{\n    float x;\n    " + line + "\n}\n"
    found = find(text, "program", Grammar({"program": "cpp"}, whole=True))
    assert [c.text.decode() for c in found if not c.structural] == expected


def test_zeros_of_python_are_weights_that_wait_for_a_value():
    """Starts name their features with weights of 0: without these nothing could be found."""
    assert tunable("value = value + 0.0 * after.memory + 0.0 * after.gap\n") == ["0.0", "0.0"]
    assert tunable("x = max(0.0, a) * 2.5\n") == ["0.0", "2.5"]
    assert tunable("x = f(a, bias=0.0)\n") == ["0.0"]


def test_coefficients_move_by_what_is_usual_and_may_change_sign():
    text = block("v = 0.5 * a - 2.0 * b + 0.0 * c + d / 3.0 + 1.5 * 4.0 + e ** 0.25\n")
    found = template({"program": text}, grammar("python")).constants
    scales = {c.text.decode(): c.scale for _, c in found}
    assert scales == {
        "0.5": 1.25, "2.0": 2.0, "0.0": 1.25, "3.0": 0.0, "1.5": 0.0, "4.0": 0.0, "0.25": 0.0
    }  # fmt: skip
    moved = {c.text.decode(): c.at(-1.0) for _, c in found if c.scale}
    assert moved == {"0.5": -0.75, "2.0": 0.0, "0.0": -1.25}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("const int lanes = 1;", ["1"]),
        ("static constexpr int block = 64;", ["64"]),
        ("const int none = 0;", []),
        ("int first = 1;", []),
        ("y[k] = 0.0f;", []),
        ("const int64_t at = 2 * half; y[at] = x;", []),
        ("const int64_t most = 3 * half; if (k > most) k = most;", ["3"]),
        ("y[2 * k] = x * 2.5f;", ["2.5f"]),
        ("x = powf(x, 3.0f) + std::pow(x, 5) * 0.5f;", ["0.5f"]),
        ("p = p * x + 8.3334519073e-3f;", []),
        ("p = p * x + 0.7071067f * 0.25f;", ["0.25f"]),
        ("x = x * 4000000.0f;", ["4000000.0f"]),
        ("alignas(64) float sums[4];", []),
    ],
)
def test_quantities_of_kernels(line, expected):
    text = f"void f(float *y, float x, float p, int64_t half, int64_t k)\n{{\n    {line}\n}}\n"
    found = find(text, "program", Grammar({"program": "cpp"}, whole=True))
    assert [c.text.decode() for c in found if not c.structural] == expected


def test_a_width_moves_from_one_power_of_two_to_another():
    text = block("const int lanes = 8;\nconst int odd = 12;\nint plain = 8;\n").replace("#", "//")
    lanes, odd, plain = find(text, "program", grammar("cpp"))
    assert [c.width for c in (lanes, odd, plain)] == [True, False, False]
    assert {lanes.at(k / 10) for k in range(-25, 26)} == {1, 2, 4, 8, 16, 32, 64, 128}
    assert lanes.at(0) == 8
    assert lanes.at(-1e9) == 1
    assert any(lanes.at(k * lanes.least_step) != 8 for k in (1, -1))


def test_context_is_kept():
    a, b = constants("alpha = -0.5\nf(x, beta=12)\n")
    assert (a.name, a.value, a.integer) == ("alpha", -0.5, False)
    assert (b.name, b.value, b.integer) == ("beta", 12.0, True)


def test_an_integer_among_floats_is_a_float():
    assert [c.integer for c in constants("w = [1, 2.5]\nv = [3, 4]\n")] == [
        False,
        False,
        True,
        True,
    ]


def test_c_literals_keep_their_suffix():
    text = block("float f(float x) { return x * 2.5f + 10UL; }\n").replace("#", "//")
    found = find(text, "program", grammar("c"))
    assert [c.spelled(4.0) for c in found] == [b"4.0f", b"4UL"]


def constant(value, *, integer=False):
    return Constant(0, 0, b"", value, integer, b"", "", False)


def test_coordinates_are_logarithmic_and_keep_signs():
    for value in (1e-3, 2.5, 1e6, -40.0):
        c = constant(value)
        assert c.at(0) == value
        assert c.at(0.6931471805599453) == pytest.approx(2 * value)
        assert c.at(-1e9) * value > 0
    assert constant(0.0).at(-0.5) == -0.5


def test_integers_move_in_whole_steps():
    assert {constant(3, integer=True).at(x / 10) for x in range(-10, 11)} >= {0, 1, 2, 3, 4, 5, 6}
    assert constant(256, integer=True).at(0.1) == round(256 * 1.1051709)
    for value in (3.0, 40.0, 4000.0):
        c = constant(value, integer=True)
        assert any(c.at(k * c.least_step) != value for k in (1, 2, 3))


def test_spelling_is_short_and_stays_a_float():
    c = constant(0.5)
    assert c.spelled(0.123456789) == b"0.123457"
    assert c.spelled(3.0) == b"3.0"
    assert c.spelled(1e20) == b"1e+20"
    assert c.spelled(-2.0) == b"(-2.0)"
    assert constant(7, integer=True).spelled(8.0) == b"8"


def test_templates_are_equal_for_equal_structure():
    rules = grammar("python")
    a = template({"program": block("x = 2.5\n")}, rules)
    b = template({"program": block("x = 7.25\n")}, rules)
    c = template({"program": block("y = 2.5\n")}, rules)
    assert a.key == b.key != c.key
    assert a.filled([b"7.25"]) == {"program": block("x = 7.25\n")}
    assert a.values() == [2.5]


@pytest.mark.parametrize("language", FILES)
def test_a_template_filled_with_its_own_constants_is_the_program(language):
    t = template({"program": FILES[language]}, grammar(language))
    assert t.constants
    assert t.filled([c.text for _, c in t.constants]) == {"program": FILES[language]}


def test_languages_without_a_grammar_are_searched_by_pattern():
    found = find(block("let x = 3.5 * 40 + 1; y2\n"), "p", Grammar({}))
    assert [c.value for c in found if not c.structural] == [3.5, 40.0]
