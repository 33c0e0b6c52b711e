"""Text files in all usual bytes, JSON, lines of JSON; and what is none of them."""

from __future__ import annotations

import json

import pytest

from whatchanged.texts import json_lines, json_of, read_text

SAID = '{"a": "café — “so”"}'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_bytes_as_editors_write_them(tmp_path, encoding):
    path = tmp_path / "a.json"
    path.write_bytes(SAID.encode(encoding))
    assert read_text(path) == SAID
    assert json_of(path) == {"a": "café — “so”"}
    path.write_bytes(f"{SAID}\r\n\r\n{SAID}\n".encode(encoding))
    assert list(json_lines(path)) == [(1, {"a": "café — “so”"}), (3, {"a": "café — “so”"})]


def test_damaged_utf_8_is_not_taken_for_cp1252(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(SAID.encode() + b"\xe9")
    with pytest.raises(ValueError, match=r"a\.json is UTF-8 with damaged bytes at 27: save it again"):
        read_text(path)
    for data in (b"\x81\x8d", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01"):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"a\.json is no text in UTF-8, UTF-16 or cp1252"):
            read_text(path)


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_a_line_ends_where_systems_end_lines(tmp_path, mark):
    path = tmp_path / "a.json"
    said = f"two{mark}dogs"
    line = json.dumps({"a": said}, ensure_ascii=mark < " ")
    for end in ("\n", "\r\n", "\r"):
        path.write_bytes(f"{line}{end}{end}{line}{end}".encode())
        assert [value for _, value in json_lines(path)] == [{"a": said}] * 2


def test_what_is_no_json_is_told_where_it_stands(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": 1}\n{"a"\n{"a": 1, "b": 2, "a": 3}\n' + "[" * 100_000)
    (_, good), (number, cut), (_, twice), (_, deep) = json_lines(path)
    assert (good, number) == ({"a": 1}, 2)
    assert isinstance(cut, ValueError)
    assert str(twice) == "'a' comes twice in one object"
    assert isinstance(deep, ValueError)
    path.write_text('[{"a": 1, "a": 2}]')
    with pytest.raises(ValueError, match=r"a\.json is not valid JSON: 'a' comes twice in one object"):
        json_of(path)
