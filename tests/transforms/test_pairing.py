"""The pairing rule: cases that tell, and the vectorised form against the rule said plainly."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.pairing import PAIRINGS, Pairing, Timeline, match


@dataclass(frozen=True)
class Event:
    """One line: `+` accept, `-` verdict, `!` verdict given at once; client; second."""

    sign: str
    client: int
    second: int


def timeline(events: list[Event]) -> Timeline:
    return Timeline(
        client=np.array([event.client for event in events], np.int32),
        seconds=np.array([event.second for event in events], np.int64),
        is_verdict=np.array([event.sign != "+" for event in events], np.bool_),
        is_at_once=np.array([event.sign == "!" for event in events], np.bool_),
    )


def by_the_rule(events: list[Event]) -> list[tuple[int, Pairing | None]]:
    """DESIGN's sentences, one event at a time."""
    answer: list[tuple[int, Pairing | None]] = [(-1, None)] * len(events)
    answered: set[int] = set()
    order = sorted(
        range(len(events)), key=lambda row: (events[row].second, events[row].sign != "+", row)
    )
    for place, row in enumerate(order):
        verdict = events[row]
        if verdict.sign == "+":
            continue
        accepts = [
            other
            for other in order[:place]
            if events[other].sign == "+" and events[other].client == verdict.client
        ]
        recent = [a for a in accepts if verdict.second - events[a].second <= 600]
        open_ = [a for a in recent if a not in answered]
        if verdict.sign == "!":
            open_ = [a for a in open_ if events[a].second == verdict.second]
        if open_:
            answered.add(open_[-1])
            answer[row] = open_[-1], Pairing.ONLY if len(recent) == 1 else Pairing.NEAREST
        elif (
            verdict.sign == "-" and accepts and verdict.second - events[accepts[-1]].second <= 3600
        ):
            answer[row] = accepts[-1], Pairing.CONTINUED
    return answer


def vectorised(events: list[Event]) -> list[tuple[int, Pairing | None]]:
    matches = match(timeline(events))
    return [
        (connection, PAIRINGS[pairing] if pairing >= 0 else None)
        for connection, pairing in zip(
            matches.connection.tolist(), matches.pairing.tolist(), strict=True
        )
    ]


EVENTS = st.builds(
    Event,
    st.sampled_from("++--!"),
    st.integers(0, 2),
    st.one_of(st.integers(0, 5), st.integers(0, 9000), st.sampled_from([600, 601, 3600, 3601])),
)


@given(st.lists(EVENTS, max_size=40))
def test_equals_the_rule_said_plainly(events: list[Event]) -> None:
    assert vectorised(events) == by_the_rule(events)


@given(st.lists(EVENTS, max_size=40), st.integers(1, 10))
def test_it_does_not_matter_in_how_many_parts_a_day_is_paired(
    events: list[Event], part_events: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("transforms.pairing._PART_EVENTS", part_events)
        assert vectorised(events) == by_the_rule(events)


@given(st.lists(EVENTS, max_size=20), st.integers(1, 2**40))
def test_a_span_too_wide_for_one_sort_key_changes_nothing(events: list[Event], gap: int) -> None:
    apart = [*events, Event("+", 7, gap + 2**61), Event("-", 7, gap + 2**61 + 1)]
    assert vectorised(apart)[: len(events)] == by_the_rule(events)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param([], [], id="an empty day"),
        pytest.param("+1@0 -1@600", [(0, "only")], id="ten minutes are still in time"),
        pytest.param("+1@0 -1@601", [(0, "continued")], id="later it only continues"),
        pytest.param("+1@0 -1@3601", [(-1, None)], id="after an hour it is an orphan"),
        pytest.param("+1@0 -2@1", [(-1, None)], id="another address never answers"),
        pytest.param("+1@0 +1@1 -1@2 -1@3", [(1, "nearest"), (0, "nearest")], id="innermost first"),
        pytest.param("-1@5 +1@5", [(1, "only")], id="accepts come first within a second"),
        pytest.param("+1@0 !1@1", [(-1, None)], id="a DNSBL line needs its own second"),
        pytest.param("+1@0 +1@5 !1@5 -1@6", [(1, "nearest"), (0, "nearest")], id="parallel DNSBL"),
        pytest.param("+1@0 !1@0 !1@0 -1@1", [(0, "only"), (-1, None), (0, "continued")],
                     id="a second DNSBL line answers nothing"),
        pytest.param("+1@0 +1@700 -1@701 -1@702", [(1, "only"), (1, "continued")],
                     id="a connection of ten minutes ago is given up"),
    ],
)  # fmt: skip
def test_case(events: str, expected: list[tuple[int, str | None]]) -> None:
    parsed = [
        Event(word[0], int(word[1 : word.index("@")]), int(word[word.index("@") + 1 :]))
        for word in (events.split() if events else [])
    ]
    verdicts = [
        pair for event, pair in zip(parsed, vectorised(parsed), strict=True) if event.sign != "+"
    ]
    assert verdicts == expected
