"""Equal models have equal digests, different ones different digests."""

import copy
import itertools
import struct

import numpy as np
import pytest

from forecastle_registry.canonical import state_digest
from forecastle_registry.errors import NotPlainData

SIGNALLING = struct.unpack("<d", b"\x01\x00\x00\x00\x00\x00\xf0\x7f")[0]


def digest(state):
    return state_digest(state, {})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (0.0, -0.0),
        (float("nan"), -float("nan")),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (np.array([0.0, 1.0]), np.array([-0.0, 1.0])),
        (np.array([np.nan]), np.array([-np.nan])),
        (np.array([np.nan]), np.array([SIGNALLING])),
        (np.array([complex(0.0, np.nan)]), np.array([complex(-0.0, -np.nan)])),
        (np.arange(6).reshape(2, 3), np.asfortranarray(np.arange(6).reshape(2, 3))),
        (np.arange(3, dtype="<i4"), np.arange(3, dtype=">i4")),
        (np.arange(6)[::2], np.array([0, 2, 4])),
        (np.array(["a", "bc"], "<U2"), np.array(["a", "bc"], ">U2")),
    ],
    ids=str,
)
def test_what_is_equal_has_one_digest(one, other):
    assert digest(one) == digest(other)


DIFFERENT = [
    None, False, True, 0, 1, -1, 10**30, 0.0, 1.0, 5e-324, float("nan"), float("inf"), -float("inf"), "", "1", "a", "ä", [],
    [None], [[]], (), (None,), {}, {"a": None}, {"a": {}}, {"": None}, ["a", "b"], ["ab"], [["a"], "b"], [["a", "b"]],
    {"a": "b"}, {"a": 1, "b": 2}, {"a": 2, "b": 1}, np.array(1.0), np.array([1.0]), np.array([[1.0]]), np.array([1.0], "f4"),
    np.array([1]), np.array([True]), np.array([1 + 0j]), np.zeros((0, 2)), np.zeros((2, 0)), np.zeros(0), np.array(["1"]),
    np.array([b"1"]), np.array([1], "M8[s]"), np.array([1], "M8[ns]"), np.array([1], "m8[s]"),
    np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 3.0], [2.0, 4.0]]),
]  # fmt: skip


def test_what_differs_has_different_digests():
    digests = {digest(state): state for state in DIFFERENT}
    assert len(digests) == len(DIFFERENT)


def test_the_signature_counts_and_reads_the_same_from_its_row():
    signatures = [{}, {"endog": ["y"]}, {"endog": ["z"]}]
    assert len({state_digest(1, signature) for signature in signatures}) == 3
    assert state_digest(1, {"endog": ("y",), "max": float("inf")}) == state_digest(1, {"endog": ["y"], "max": None})


def test_state_and_signature_do_not_run_into_each_other():
    assert state_digest({"a": 1}, {}) != state_digest({}, {"a": 1})


def test_the_digest_is_the_same_in_every_release():
    state = {"a": [None, True, -3, 0.5, "ä", (1,)], "b": np.array([[1.5, np.nan]]), "c": np.array(["x"])}
    assert state_digest(state, {"endog": ["y"]}) == "7eed4202aa84b3fa851821b9a5aea8bd2fd0423797d3e26a76e1f1c15b161d3b"


def test_taking_a_digest_changes_nothing():
    state = {"a": np.array([-0.0, SIGNALLING])}
    before = state["a"].tobytes()
    assert digest(copy.deepcopy(state)) == digest(state)
    assert state["a"].tobytes() == before


@pytest.mark.parametrize(
    ("state", "where"),
    [
        ({"a": [np.float64(1.0)]}, r"state\.a\[0\] is a numpy\.float64"),
        ({"a": {1: 2}}, r"state\.a is a dict"),
        ({"a": {1, 2}}, r"state\.a is a builtins\.set"),
        (np.array([None]), "state is an array of dtype object"),
        (np.zeros(1, [("x", "f8")]), "state is an array of dtype"),
        (np.zeros(1, "g"), "state is an array of dtype"),
        (b"bytes", "state is a builtins.bytes"),
    ],
)
def test_what_is_no_state_is_refused_by_its_place(state, where):
    with pytest.raises(NotPlainData, match=where):
        digest(state)


def test_no_two_neighbours_of_different_split_are_equal():
    splits = [list(parts) for parts in itertools.chain([("abc",), ("a", "bc"), ("ab", "c"), ("a", "b", "c"), ("", "abc")])]
    assert len({digest(parts) for parts in splits}) == len(splits)
