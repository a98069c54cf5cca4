"""Documents in passages that are understood alone, and the ones that fit."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.classify import documents
from tailrace.classify.documents import DocumentsError, Passage, Passages, passages_of, read_folder
from tailrace.classify.turn import Subject, Turn

POLICY = """Opening words.

# Refunds
Refunds take five days.

## Deadlines ##
Ask within 14 days.
```
# no heading
```
# Baggage

One bag of 23 kg.
"""


def test_a_passage_stands_under_its_headings() -> None:
    assert list(passages_of("p.md", POLICY)) == [
        Passage("p.md", "", "Opening words."),
        Passage("p.md", "Refunds", "Refunds take five days."),
        Passage("p.md", "Refunds › Deadlines", "Ask within 14 days.\n```\n# no heading\n```"),
        Passage("p.md", "Baggage", "One bag of 23 kg."),
    ]


def test_long_sections_are_cut_at_paragraphs_and_then_at_sentences() -> None:
    paragraphs = "\n\n".join(f"{n} " + "word " * 100 for n in range(6))
    found = [passage.text for passage in passages_of("p", paragraphs)]
    assert len(found) == 3
    assert all(text[0].isdigit() for text in found)
    sentences = [passage.text for passage in passages_of("p", "One two three. " * 300)]
    assert all(text.startswith("One") and text.endswith(".") for text in sentences)


@given(st.text(alphabet="ab#`.! \n\r", max_size=200) | st.text(max_size=3000))
def test_no_passage_is_too_long_and_no_word_is_lost(text: str) -> None:
    found = list(passages_of("p", text))
    assert all(0 < len(passage.text) <= 1200 for passage in found)
    kept = "".join(passage.text for passage in found)
    if "#" not in text:
        assert "".join(kept.split()) == "".join(text.split())


def test_the_passage_that_fits_comes_first_and_the_turn_before_counts() -> None:
    passages = Passages(list(passages_of("p.md", POLICY)))
    assert passages.near(Subject("how many bags? one bag?"))[0].heading == "Baggage"
    assert passages.near(Subject("yes", (Turn("assistant", "Do you ask for deadlines?"),)))[0].heading.endswith(
        "Deadlines"
    )
    assert passages.near(Subject("xyz")) == []
    assert passages.passages[2].shown().startswith("[p.md › Refunds › Deadlines]\nAsk")


def test_a_folder_is_read_in_order_and_only_its_texts(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_bytes(b"b\xff")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.MD").write_text("a")
    (tmp_path / "c.png").write_bytes(b"c")
    assert read_folder(tmp_path) == (Passage("a/x.MD", "", "a"), Passage("b.txt", "", "b\ufffd"))


def test_a_folder_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.md").write_text("a" * 100)
    monkeypatch.setattr(documents, "MOST_BYTES", 99)
    with pytest.raises(DocumentsError, match="name a smaller folder"):
        read_folder(tmp_path)
    monkeypatch.setattr(documents, "MOST_BYTES", 100)
    assert read_folder(tmp_path)
    monkeypatch.setattr(documents, "MOST_FILES", 0)
    with pytest.raises(DocumentsError, match="holds more than 0 files"):
        read_folder(tmp_path)
