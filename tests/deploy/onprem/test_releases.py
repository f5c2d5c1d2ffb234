"""Which release a rollback goes back to."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tabular.deploy.onprem.releases import Phase, Release, before, present

WHEN = datetime(2026, 1, 1, tzinfo=UTC)


def history(*said: str) -> tuple[Release, ...]:
    """Releases, as ``A``, ``A<1`` (a rollback to 1) or ``A!`` (failed); the last one serves."""
    found = []
    for revision, text in enumerate(said, start=1):
        content, _, back = text.rstrip("!").partition("<")
        phase = Phase.FAILED if text.endswith("!") else Phase.SUPERSEDED
        if revision == len(said):
            phase = Phase.DEPLOYED
        found.append(Release(revision, phase, WHEN, int(back) if back else None, content))
    return tuple(found)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (("A",), None),
        (("A", "B"), 1),
        (("A", "B", "C"), 2),
        (("A", "B", "C", "B<2"), 1),  # a second rollback goes back one more
        (("A", "B", "A<1"), None),
        (("A", "B", "C!", "B<2"), 1),  # what undid a failed update is no step back
        (("A", "B!", "A<1", "C"), 3),
        (("A", "A", "B"), 2),
        (("A", "B", "B"), 1),  # the same once more is not a release before
        (("A!", "B"), None),
    ],
)
def test_a_rollback_goes_back_to(said: tuple[str, ...], expected: int | None) -> None:
    found = before(history(*said))
    assert (None if found is None else found.revision) == expected


@pytest.mark.parametrize("phase", [Phase.SUPERSEDED, Phase.DEPLOYED])  # Helm's word, and ours
def test_from_what_failed_and_was_left_it_goes_back_to_what_served(phase: Phase) -> None:
    served = Release(2, phase, WHEN, None, "B")
    first, newest = (Release(number, Phase.FAILED, WHEN, None, "C") for number in (1, 3))
    found = (first, served, newest)
    assert present(found) == before(found) == served


def test_nothing_that_serves_has_no_release_before() -> None:
    assert before((Release(1, Phase.FAILED, WHEN, None, "A"),)) is None
