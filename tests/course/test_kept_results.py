"""Kept results: their hash hears of code and settings alone, and a file that is not whole is refused."""

import importlib.util

import pytest

from course import kept_results

CODE = '''
"""What it is for."""

SIDE = 3


def area(side):
    """Of a square."""
    # every side alike
    return side * side


class Square:
    """One with a method."""

    def area(self):
        return area(SIDE)
'''


@pytest.fixture
def digest(tmp_path):
    """The hash of a module with this source, or of one thing in it."""
    made = []

    def of(source, name=None, settings=None):
        path = tmp_path / f"module_{len(made)}.py"
        path.write_text(source)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        made.append(module)
        return kept_results.digest_of([getattr(module, name) if name else module], settings)

    return of


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# every side alike", "# another comment"),
        ('"""Of a square."""', '"""Of a square, in squares."""'),
        ('    """Of a square."""\n', ""),
        ('"""What it is for."""', ""),
        ('    """One with a method."""\n', ""),
        ("def area(side)", "def area(side: float) -> float"),
        ("return side * side", "return (\n        side * side\n    )"),
        ("\n\n\nclass", "\n\n\n\n\nclass"),
    ],
)
def test_words_and_line_breaks_change_nothing(digest, old, new):
    assert old in CODE
    assert digest(CODE.replace(old, new)) == digest(CODE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SIDE = 3", "SIDE = 4"),
        ("side * side", "side + side"),
        ("return area(SIDE)", "return area(self)"),
        ("def area(self)", "def extent(self)"),
        ("SIDE = 3", 'SIDE = 3\nNAME = "three"'),
        ("return side * side", "return side * side * True"),
    ],
)
def test_code_changes_the_hash(digest, old, new):
    assert old in CODE
    assert digest(CODE.replace(old, new)) != digest(CODE)


def test_of_a_function_only_that_function_counts(digest):
    other = CODE.replace("SIDE = 3", "SIDE = 4")
    assert digest(other, "area") == digest(CODE, "area")
    assert digest(CODE.replace("side * side", "2 * side"), "area") != digest(CODE, "area")


def test_settings_change_the_hash_and_their_order_does_not(digest):
    plain = digest(CODE, settings={"pairs": 160, "seen": 1600})
    assert digest(CODE, settings={"seen": 1600, "pairs": 160}) == plain
    assert digest(CODE, settings={"seen": 1600, "pairs": 161}) != plain


def test_the_same_on_all_versions_of_python(digest):
    """The literal was computed by Python 3.11, 3.12 and 3.13."""
    assert digest(CODE) == "916dc82b3149"


def test_records_are_written_whole_and_read_again(tmp_path):
    path, records = tmp_path / "results" / "kept.json", [{"seed": 0, "digest": "a"}, {"seed": 1, "digest": "b"}]
    assert kept_results.read_kept(path) == []
    assert kept_results.read_kept(kept_results.write_kept(path, records)) == records
    assert len(path.read_text().splitlines()) == 4, "a line each, so that a diff shows what was trained anew"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('[\n{"seed": 0, "digest": "a"},\n{"se', "is no JSON"),
        ('{"seed": 0}', "holds no kept results"),
        ('[{"seed": 0}]', "holds no kept results"),
    ],
)
def test_what_is_half_written_or_something_else_is_refused(tmp_path, content, said):
    path = tmp_path / "kept.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=said) as refused:
        kept_results.read_kept(path)
    assert str(path) in str(refused.value)
    assert path.read_text() == content


def test_where_another_run_is_expected():
    low, high = kept_results.expected([0.4, 0.6, 0.5], 100)
    assert low == pytest.approx(0.4 - 2 * 0.05), "half of 100 answers: a standard error of 0.05"
    assert high == pytest.approx(0.6 + 2 * 0.05)
    low, high = kept_results.expected([1.0, 1.0, 1.0], 100)
    assert (low, high) == (1, 1)
