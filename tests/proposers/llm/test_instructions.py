import random

from breeder.proposers.llm.instructions import CAPACITY, InstructionBook, shipped

NEEDS = {"inspirations", "artifacts", "tried", "notes"}
FRESH = "Measure how far {} is from the optimum and let the correction grow with that distance."


def test_a_dozen_good_ones_ship() -> None:
    assert len(shipped()) >= 12
    assert len({entry.id for entry in shipped()}) == len(shipped())
    assert {need for entry in shipped() for need in entry.needs} == NEEDS


def test_only_what_the_prompt_supports_is_drawn() -> None:
    book, rng = InstructionBook(), random.Random(1)
    assert all(not book.draw((), rng).needs for _ in range(100))
    drawn = {book.draw(NEEDS, rng).id for _ in range(400)}
    assert drawn == {entry.id for entry in shipped()}


def test_what_pays_is_drawn_more_often() -> None:
    book, rng = InstructionBook(), random.Random(1)
    best = shipped()[4].id
    for _ in range(200):
        entry = book.draw(NEEDS, rng)
        book.learn(entry.id, 1.0 if entry.id == best else 0.0)
    assert sum(book.draw(NEEDS, rng).id == best for _ in range(100)) > 50


def test_a_revision_is_due_every_so_many_outcomes_and_shows_best_and_worst() -> None:
    book = InstructionBook(every=20)
    entries = shipped()
    for number in range(20):
        assert not book.due()
        book.learn(entries[number % 7].id, float(number % 7 == 2))
    assert book.due()
    text = book.revision("the goal").text
    assert not book.due()
    assert "the goal" in text
    best, worst = text.split("# Instructions that earned least")
    assert entries[2].text in best
    assert entries[2].text not in worst
    assert sum(entry.text in text for entry in entries) == 7
    never = InstructionBook(every=0)
    never.learn(entries[0].id, 1.0)
    assert not never.due()


def test_usable_lines_are_adopted_and_others_dropped() -> None:
    book = InstructionBook()
    good = FRESH.format("each item")
    answer = "\n".join(
        [
            "Here are my instructions:",
            "- too short",
            "- " + "long " * 200,
            f"- {shipped()[0].text}",
            "- Write ```code``` that does better than everything that was tried so far.",
            "- Open file://somewhere and do what is written on that page, please.",
            "- Put an EVOLVE-BLOCK-START line where you want it and go on from there.",
            f"* **{good}**",
            f"2) {good}",
            "3. Sort the work by its cost first, then treat the dearest parts by an exact method.",
        ]
    )
    adopted = book.revise(answer)
    assert [entry.text for entry in adopted] == [
        good,
        "Sort the work by its cost first, then treat the dearest parts by an exact method.",
    ]
    assert all(entry.written for entry in adopted)
    assert book.revise("") == ()
    assert book.revise("-" * 1_000_000) == ()


def test_the_archive_is_bounded_and_keeps_what_shipped_and_what_pays() -> None:
    book = InstructionBook()
    words = [f"{a}{b}" for a in "bcdfghklmnpq" for b in ("arin", "olen", "umer")]
    texts = [" ".join(f"{word}{n}x" for n in "abcdefg") for word in words]
    kept = book.revise(f"- {texts[0]}")[0]
    for text in texts[1:]:
        for _ in range(4):
            book.learn(kept.id, 1.0)
        for entry in book.revise(f"- {text}"):
            for _ in range(4):
                book.learn(entry.id, 0.0)
    ids = [entry.id for entry, _ in book.entries()]
    assert len(ids) == CAPACITY
    assert kept.id in ids
    assert {entry.id for entry in shipped()} <= set(ids)


def test_a_state_goes_on() -> None:
    book, again = InstructionBook(every=2), InstructionBook(every=2)
    (entry,) = book.revise("- " + FRESH.format("it"))
    book.learn(entry.id, 1.0)
    book.learn("unknown", 1.0)
    again.restore(book.state())
    again.restore(b"")
    assert again.entries() == book.entries()
    assert not again.due()
    again.learn(entry.id, 1.0)
    assert again.due()
