"""Languages: one table of node types per language, so that one mutation engine serves them all.

The names are those of the tree-sitter grammars. A grammar is loaded when it is first asked for; a
language whose package is not installed, or that has no table, is edited line by line instead.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import tree_sitter

FieldOf = tuple[str, str]
"""(type of the parent, field of the child); the field is empty for children without one."""


def words(text: str) -> frozenset[str]:
    """The set of the words of a text, to write long sets of node types legibly."""
    return frozenset(text.split())


@dataclass(frozen=True, slots=True)
class Language:
    """What the mutation engine must know of a language.

    Attributes:
        name: as in `Grammar.languages`.
        family: `python` or `c`; how names are bound and how statements are written.
        package: Python package of the grammar.
        expressions: node types that may stand where a value is wanted.
        conditions: types that are truth values whatever their operator is.
        statements: types of whole statements; `blocks`: types that hold a list of them.
        integers, floats: types of number literals (`number_literal` is in both for C).
        opaque: subtrees without edit sites (strings, types, parameters, declarators).
        targets: places that are not values although an expression stands there.
        contexts: what the value at a place is used as: condition, sequence, index, number, value.
        functions: types of function definitions; `comments`: of comments.
        scopes: types that hold names; a name is visible in the node of its scope only.
        operators: groups of operators that may replace one another.
        comparisons: spelling of comparison operators; `booleans`: of and, or, not.
    """

    name: str
    family: str
    package: str
    expressions: frozenset[str]
    conditions: frozenset[str]
    statements: frozenset[str]
    blocks: frozenset[str]
    integers: frozenset[str]
    floats: frozenset[str]
    opaque: frozenset[str]
    targets: frozenset[FieldOf]
    contexts: Mapping[FieldOf, str]
    functions: frozenset[str]
    comments: frozenset[str]
    scopes: frozenset[str]
    operators: tuple[tuple[bytes, ...], ...]
    comparisons: frozenset[bytes] = field(
        default=frozenset({b"<", b"<=", b">", b">=", b"==", b"!="})
    )
    booleans: tuple[bytes, bytes, bytes] = (b"&&", b"||", b"!")

    def parser(self) -> tree_sitter.Parser:
        """The parser of this language, made once."""
        return _parser(self.package)


@lru_cache(maxsize=16)
def _parser(package: str) -> tree_sitter.Parser:
    module = importlib.import_module(package)
    return tree_sitter.Parser(tree_sitter.Language(module.language()))


_PYTHON = Language(
    name="python",
    family="python",
    package="tree_sitter_python",
    expressions=words(
        "identifier attribute subscript call binary_operator unary_operator integer float "
        "parenthesized_expression conditional_expression comparison_operator boolean_operator "
        "not_operator list tuple list_comprehension true false"
    ),
    conditions=words("comparison_operator boolean_operator not_operator true false"),
    statements=words(
        "expression_statement if_statement for_statement while_statement return_statement "
        "break_statement continue_statement pass_statement assert_statement raise_statement "
        "with_statement try_statement"
    ),
    blocks=frozenset({"block", "module"}),
    integers=frozenset({"integer"}),
    floats=frozenset({"float"}),
    opaque=words(
        "string concatenated_string comment parameters lambda_parameters type decorator "
        "import_statement import_from_statement future_import_statement global_statement "
        "nonlocal_statement delete_statement case_pattern dotted_name pattern_list tuple_pattern "
        "list_pattern as_pattern_target"
    ),
    targets=frozenset(
        [
            ("assignment", "left"),
            ("augmented_assignment", "left"),
            ("for_statement", "left"),
            ("for_in_clause", "left"),
            ("named_expression", "name"),
            ("keyword_argument", "name"),
            ("function_definition", "name"),
            ("class_definition", "name"),
            ("class_definition", "superclasses"),
            ("attribute", "attribute"),
            ("attribute", "object"),
            ("call", "function"),
            ("expression_statement", ""),
            ("except_clause", ""),
            ("as_pattern", ""),
        ]
    ),
    contexts={
        ("subscript", "value"): "sequence",
        ("for_statement", "right"): "sequence",
        ("for_in_clause", "right"): "sequence",
        ("list_splat", ""): "sequence",
        ("subscript", "subscript"): "index",
        ("slice", ""): "index",
        ("boolean_operator", "left"): "condition",
        ("boolean_operator", "right"): "condition",
        ("not_operator", "argument"): "condition",
        ("if_statement", "condition"): "condition",
        ("elif_clause", "condition"): "condition",
        ("while_statement", "condition"): "condition",
        ("if_clause", ""): "condition",
        ("assert_statement", ""): "condition",
        ("binary_operator", "left"): "number",
        ("binary_operator", "right"): "number",
        ("unary_operator", "argument"): "number",
        ("comparison_operator", ""): "number",
        ("augmented_assignment", "right"): "number",
    },
    functions=frozenset({"function_definition"}),
    comments=frozenset({"comment"}),
    scopes=words(
        "module block function_definition class_definition lambda for_statement list_comprehension "
        "generator_expression set_comprehension dictionary_comprehension"
    ),
    operators=(
        (b"+", b"-", b"*", b"/"),
        (b"//", b"/", b"%", b"*"),
        (b"**", b"*"),
        (b"<", b"<=", b">", b">="),
        (b"==", b"!="),
        (b"and", b"or"),
        (b"+=", b"-=", b"*=", b"/=", b"="),
        (b"//=", b"%="),
        (b"&", b"|", b"^"),
        (b"<<", b">>"),
        (b"in", b"not in"),
    ),
    booleans=(b"and", b"or", b"not "),
)

_C_EXPRESSIONS = words(
    "identifier field_expression subscript_expression call_expression binary_expression "
    "unary_expression number_literal parenthesized_expression conditional_expression "
    "cast_expression true false"
)
_C_OPAQUE = words(
    "string_literal char_literal raw_string_literal concatenated_string comment parameter_list "
    "preproc_include preproc_def preproc_function_def preproc_call type_descriptor "
    "primitive_type sized_type_specifier enum_specifier union_specifier struct_specifier "
    "sizeof_expression alignof_expression function_declarator array_declarator pointer_declarator "
    "reference_declarator template_argument_list template_parameter_list lambda_capture_specifier "
    "field_initializer_list goto_statement labeled_statement attribute_declaration "
    "using_declaration alias_declaration static_assert_declaration gnu_asm_expression "
    "bitfield_clause qualified_identifier preproc_if preproc_ifdef type_definition"
)
_C = Language(
    name="c",
    family="c",
    package="tree_sitter_c",
    expressions=_C_EXPRESSIONS,
    conditions=frozenset({"true", "false"}),
    statements=words(
        "expression_statement declaration if_statement for_statement while_statement do_statement "
        "return_statement break_statement continue_statement switch_statement "
        "for_range_loop"
    ),
    blocks=frozenset({"compound_statement"}),
    integers=frozenset({"number_literal"}),
    floats=frozenset({"number_literal"}),
    opaque=_C_OPAQUE,
    targets=frozenset(
        [
            ("assignment_expression", "left"),
            ("init_declarator", "declarator"),
            ("declaration", "declarator"),
            ("update_expression", "argument"),
            ("call_expression", "function"),
            ("field_expression", "argument"),
            ("pointer_expression", "argument"),
            ("for_range_loop", "declarator"),
            ("field_declaration", "declarator"),
            ("field_declaration", "default_value"),
            ("case_statement", "value"),
            ("expression_statement", ""),
            ("if_statement", "condition"),
            ("while_statement", "condition"),
            ("do_statement", "condition"),
            ("switch_statement", "condition"),
            ("function_definition", "declarator"),
        ]
    ),
    contexts={
        ("subscript_expression", "argument"): "sequence",
        ("for_range_loop", "right"): "sequence",
        ("subscript_expression", "index"): "index",
        ("subscript_argument_list", ""): "index",
        ("condition_clause", "value"): "condition",
        ("if_statement", "condition"): "condition",
        ("while_statement", "condition"): "condition",
        ("do_statement", "condition"): "condition",
        ("for_statement", "condition"): "condition",
        ("conditional_expression", "condition"): "condition",
        ("binary_expression", "left"): "number",
        ("binary_expression", "right"): "number",
        ("unary_expression", "argument"): "number",
    },
    functions=frozenset({"function_definition"}),
    comments=frozenset({"comment"}),
    scopes=words(
        "translation_unit compound_statement function_definition for_statement for_range_loop "
        "lambda_expression field_declaration_list declaration_list"
    ),
    operators=(
        (b"+", b"-", b"*"),
        (b"/", b"*"),
        (b"%", b"/"),
        (b"<", b"<=", b">", b">="),
        (b"==", b"!="),
        (b"&&", b"||"),
        (b"+=", b"-=", b"*=", b"="),
        (b"/=", b"*="),
        (b"&", b"|", b"^"),
        (b"<<", b">>"),
    ),
)


def _derived(base: Language, name: str, package: str) -> Language:
    values = {key: getattr(base, key) for key in Language.__slots__}
    return Language(**{**values, "name": name, "package": package})


_TABLES: Mapping[str, Language] = {
    "python": _PYTHON,
    "c": _C,
    "cpp": _derived(_C, "cpp", "tree_sitter_cpp"),
    "cuda": _derived(_C, "cuda", "tree_sitter_cuda"),
}


@lru_cache(maxsize=64)
def language(name: str) -> Language | None:
    """The table of a language, or None when it has none or its grammar is not installed."""
    table = _TABLES.get(name)
    if table is None:
        return None
    try:
        table.parser()
    except ImportError:
        return None
    return table
