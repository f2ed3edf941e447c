"""Makes assertions in the shared suites of `conformance` as telling as those of a test file."""

import pytest

pytest.register_assert_rewrite("conformance")
