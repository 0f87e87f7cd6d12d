"""The runtime against closed forms, dense Gaussian algebra, and its own promises."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest

from forecastle_sdk import ExogColumn, Index, Notice, Signature
from forecastle_sdk.errors import (
    ExogError,
    HorizonError,
    InputError,
    ObservationsError,
    OverflowingForecast,
    QuantilesError,
    StateError,
)
from forecastle_sdk.statespace import StateSpace, StateSpaceForecaster, stability_notices
from forecastle_sdk.system import factor

EXOG = np.array([[0.5, -1.0], [1.5, 0.25], [-0.5, 0.0], [0.1, 0.2], [0.3, -0.4]])


def a_system(**changes: object) -> StateSpace:
    """Two endogenous columns on three states, a trend of c and t, two exogenous columns in both equations, and noise."""
    rng = np.random.default_rng(1)
    spread = rng.standard_normal((3, 3))
    system = StateSpace(
        transition=np.array([[0.6, 0.2, 0.1], [-0.1, 0.5, 0.3], [0.0, 0.0, 0.4]]),
        selection=np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.2]]),
        shock_cov=np.array([[1.0, 0.3], [0.3, 2.0]]),
        design=np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.5]]),
        noise=np.array([0.1, 0.0]),
        state_input=rng.standard_normal((3, 4)),
        output_input=rng.standard_normal((2, 4)),
        mean=np.array([1.0, -2.0, 0.5]),
        cov=spread @ spread.T,
        clock=7,
        powers=(0, 1),
    )
    return replace(system, **changes)


def a_signature(endog: int = 2, exog: int = 2, max_horizon: int = 1000) -> Signature:
    columns = tuple(ExogColumn(f"x{j}", 0.0, -2.0, 2.0) for j in range(exog))
    names = tuple(f"y{i}" for i in range(endog))
    return Signature(names, columns, Index("integer", 99), 100, max_horizon=max_horizon)


def a_forecaster(**changes: object) -> StateSpaceForecaster:
    return StateSpaceForecaster(a_system(**changes), a_signature())


def a_random_walk(variance: float = 4.0) -> StateSpaceForecaster:
    one = np.eye(1)
    system = StateSpace(
        one, one, variance * one, one, np.zeros(1), np.empty((1, 0)), np.empty((1, 0)), np.array([10.0]), np.zeros((1, 1))
    )
    return StateSpaceForecaster(system, a_signature(1, 0))


def dense(system: StateSpace, exog: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The joint mean and covariance of all coming outputs, (h k,) and (h k, h k), by writing every step out."""
    horizon, states = len(exog), system.states
    shock = system.selection @ system.shock_cov @ system.selection.T
    blocks = np.zeros((horizon, horizon, states, states))
    means, mean, cov = [], system.mean, system.cov
    for i in range(horizon):
        u = np.concatenate((float(system.clock + i) ** np.array(system.powers), exog[i]))
        mean = system.transition @ mean + system.state_input @ u
        cov = system.transition @ cov @ system.transition.T + shock
        means.append(system.design @ mean + system.output_input @ u)
        blocks[i, i] = cov
        for j in range(i):
            blocks[i, j] = system.transition @ blocks[i - 1, j]
            blocks[j, i] = blocks[i, j].T
    endog = len(system.design)
    joint = np.einsum("ks,ijst,lt->ikjl", system.design, blocks, system.design).reshape(horizon * endog, horizon * endog)
    return np.concatenate(means), joint + np.diag(np.tile(system.noise, horizon))


def test_a_random_walk_stays_where_it_is_and_its_interval_widens_with_the_root_of_time() -> None:
    answer = a_random_walk(variance=4.0).forecast(9, quantiles=[0.025, 0.975])
    assert answer.mean.tolist() == [[10.0]] * 9
    width = NormalDist().inv_cdf(0.975) * 2.0 * np.sqrt(np.arange(1, 10))
    np.testing.assert_allclose(answer.quantiles[:, :, 0], [10 - width, 10 + width], rtol=1e-14)


def test_mean_and_quantiles_equal_the_joint_distribution_written_out() -> None:
    answer = a_forecaster().forecast(5, exog=EXOG, quantiles=[0.1, 0.5, 0.9])
    mean, cov = dense(a_system(), EXOG)
    np.testing.assert_allclose(answer.mean.ravel(), mean, rtol=1e-12)
    errors = NormalDist().inv_cdf(0.9) * np.sqrt(np.diag(cov))
    np.testing.assert_allclose(answer.quantiles[2].ravel(), mean + errors, rtol=1e-12)
    np.testing.assert_allclose(answer.quantiles[1], answer.mean, rtol=1e-12)
    assert answer.quantiles.shape == (3, 5, 2)


def test_no_quantiles_are_an_empty_array_of_the_right_shape() -> None:
    assert a_forecaster().forecast(5, exog=EXOG).quantiles.shape == (0, 5, 2)


@pytest.mark.parametrize("hidden", [[], [1], [0, 3, 4], [2, 3, 4, 5]])
def test_append_is_the_conditional_distribution_also_where_values_are_missing(hidden: list[int]) -> None:
    seen = np.array([[3.0, -1.0], [2.5, 0.5], [4.0, 1.0]])
    seen.ravel()[hidden] = np.nan
    after = a_forecaster().append(seen, EXOG[:3]).forecast(2, exog=EXOG[3:], quantiles=[0.9])
    mean, cov = dense(a_system(), EXOG)
    given = [i for i in range(6) if i not in hidden]
    gain = np.linalg.solve(cov[np.ix_(given, given)], cov[np.ix_(given, range(6, 10))]).T
    expected = mean[6:] + gain @ (seen.ravel()[given] - mean[given])
    rest = cov[6:, 6:] - gain @ cov[np.ix_(given, range(6, 10))]
    np.testing.assert_allclose(after.mean.ravel(), expected, rtol=1e-11)
    bound = expected + NormalDist().inv_cdf(0.9) * np.sqrt(np.diag(rest))
    np.testing.assert_allclose(after.quantiles[0].ravel(), bound, rtol=1e-11)


def test_append_leaves_the_forecaster_as_it_was_and_moves_clock_and_signature() -> None:
    before = a_forecaster()
    first = before.forecast(5, exog=EXOG, quantiles=[0.1])
    after = before.append(np.ones((3, 2)), EXOG[:3] * 10)
    np.testing.assert_array_equal(before.forecast(5, exog=EXOG, quantiles=[0.1]).quantiles, first.quantiles)
    assert (after.system.clock, after.signature.nobs, after.signature.index.last) == (10, 103, 102)
    assert (after.signature.exog[0].max, after.signature.exog[0].last) == (15.0, -5.0)


def test_rows_appended_one_by_one_equal_rows_appended_at_once() -> None:
    rows = np.array([[1.0, np.nan], [np.nan, np.nan], [2.0, 3.0]])
    at_once, one_by_one = a_forecaster().append(rows, EXOG[:3]), a_forecaster()
    for i in range(3):
        one_by_one = one_by_one.append(rows[i : i + 1], EXOG[i : i + 1])
    np.testing.assert_allclose(one_by_one.system.mean, at_once.system.mean, rtol=1e-13)
    np.testing.assert_allclose(one_by_one.system.cov, at_once.system.cov, rtol=1e-13)


def test_an_endogenous_column_that_is_known_from_the_others_teaches_nothing_more() -> None:
    rng = np.random.default_rng(2)
    for scale in rng.uniform(0.1, 10, 30):  # in some, rounding leaves a variance a little above zero
        design = np.array([[1.0], [scale]]) @ rng.standard_normal((1, 3))
        twins = a_system(design=design, noise=np.zeros(2), output_input=np.zeros((2, 4)))
        both, one = (twins.after(np.array([[1.0, second]]), EXOG[:1]) for second in (scale * 1.5, np.nan))
        np.testing.assert_allclose(both.mean, one.mean, rtol=1e-7)
        np.testing.assert_allclose(both.cov, one.cov, rtol=1e-7, atol=1e-12)


def test_coefficients_that_are_states_multiply_the_exogenous_columns() -> None:
    coefficients = np.array([[2.0, 0.5], [0.5, 1.0]])
    cov = np.zeros((3, 3))
    cov[1:, 1:] = coefficients
    zero = np.zeros((1, 2))
    system = StateSpace(
        np.diag([0.5, 1.0, 1.0]),
        np.array([[1.0], [0.0], [0.0]]),
        np.eye(1),
        np.array([[1.0, 0.0, 0.0]]),
        np.zeros(1),
        np.zeros((3, 2)),
        zero,
        np.array([4.0, 3.0, -1.0]),
        cov,
        regression=1,
    )
    answer = StateSpaceForecaster(system, a_signature(1)).forecast(2, exog=EXOG[:2], quantiles=[0.9])
    expected = np.array([2.0, 1.0]) + EXOG[:2] @ [3.0, -1.0]
    np.testing.assert_allclose(answer.mean[:, 0], expected, rtol=1e-14)
    variance = np.array([1.0, 1.25]) + np.einsum("hi,ij,hj->h", EXOG[:2], coefficients, EXOG[:2])
    np.testing.assert_allclose(answer.quantiles[0, :, 0], expected + NormalDist().inv_cdf(0.9) * np.sqrt(variance), rtol=1e-13)


def test_sample_paths_have_the_joint_mean_and_covariance() -> None:
    drawn = a_forecaster().simulate(3, 40_000, exog=EXOG[:3], seed=5).reshape(40_000, 6)
    mean, cov = dense(a_system(), EXOG[:3])
    scale = np.sqrt(np.diag(cov))
    np.testing.assert_allclose((drawn.mean(axis=0) - mean) / scale, 0, atol=0.02)
    np.testing.assert_allclose((np.cov(drawn.T) - cov) / np.outer(scale, scale), 0, atol=0.03)


def test_sample_paths_follow_the_seed_and_a_longer_horizon_starts_alike() -> None:
    forecaster = a_forecaster()
    short, same = (forecaster.simulate(3, 4, exog=EXOG[:3], seed=5) for _ in range(2))
    assert short.shape == (4, 3, 2)
    np.testing.assert_array_equal(short, same)
    np.testing.assert_array_equal(forecaster.simulate(5, 4, exog=EXOG, seed=5)[:, :3], short)
    assert not np.array_equal(forecaster.simulate(3, 4, exog=EXOG[:3], seed=6), short)


def test_the_factor_of_a_covariance_with_known_states_reproduces_it() -> None:
    cov = np.zeros((4, 4))
    cov[1:, 1:] = a_system().cov * 1e-8
    cov[3] = cov[:, 3] = 0.0
    lower = factor(cov)
    np.testing.assert_allclose(lower @ lower.T, cov, rtol=1e-12, atol=0)


def test_a_restored_forecaster_gives_the_same_numbers_to_the_last_bit() -> None:
    forecaster = StateSpaceForecaster(a_system(), a_signature(), [Notice("flat", "The likelihood is flat.", ("x0",))])
    again = StateSpaceForecaster.restore(forecaster.state())
    one, other = (f.forecast(5, exog=EXOG, quantiles=[0.1, 0.9]) for f in (forecaster, again))
    np.testing.assert_array_equal(one.mean, other.mean)
    np.testing.assert_array_equal(one.quantiles, other.quantiles)
    assert (again.signature, again.notices, one.notices) == (forecaster.signature, forecaster.notices, other.notices)


def test_the_state_does_not_grow_with_the_rows_that_were_seen() -> None:
    before = a_forecaster()
    after = before.append(np.ones((50, 2)), np.ones((50, 2)))
    assert {k: np.shape(v) for k, v in before.state()["system"].items()} == {
        k: np.shape(v) for k, v in after.state()["system"].items()
    }


@pytest.mark.parametrize(
    "break_it",
    [
        lambda state: state.pop("signature"),
        lambda state: state["system"].pop("design"),
        lambda state: state["system"].update(mean=np.zeros(4)),
        lambda state: state["system"].update(cov=np.full((3, 3), np.nan)),
        lambda state: state["system"].update(clock="seven"),
        lambda state: state["system"].update(design=np.zeros(3)),
        lambda state: state["system"].update(regression=0),
        lambda state: state["system"].update(powers=[0, 1, 2, 3, 4]),
        lambda state: state.update(signature="{}"),
        lambda state: state.update(signature="no JSON"),
        lambda state: state.update(signature=state["signature"].replace('"y0", ', "")),
        lambda state: state.update(notices="[1]"),
        lambda state: state.update(system=None),
    ],
)
def test_a_state_that_was_tampered_with_is_refused(break_it: object) -> None:
    state = a_forecaster().state()
    break_it(state)
    with pytest.raises(StateError):
        StateSpaceForecaster.restore(state)


def test_eight_threads_agree_whatever_the_order_of_horizons() -> None:
    shared = StateSpaceForecaster(a_system(state_input=np.zeros((3, 2)), output_input=np.zeros((2, 2))), a_signature(exog=0))
    horizons = [1, 200, 3, 64, 1000, 17, 500, 2] * 5
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda h: shared.forecast(h, quantiles=[0.05]).quantiles, horizons))
    for horizon, answer in zip(horizons, answers, strict=True):
        alone = StateSpaceForecaster(shared.system, shared.signature).forecast(horizon, quantiles=[0.05]).quantiles
        np.testing.assert_array_equal(answer, alone)


def test_the_cache_of_standard_errors_is_bounded_by_the_largest_horizon() -> None:
    forecaster = StateSpaceForecaster(a_random_walk().system, a_signature(1, 0, max_horizon=30))
    for horizon in (1, 17, 30):
        forecaster.forecast(horizon, quantiles=[0.5])
    assert len(forecaster._spread[0]) == 30


def test_finite_input_with_an_infinite_answer_is_refused() -> None:
    with pytest.raises(OverflowingForecast, match="not finite"):
        a_forecaster().forecast(2, exog=np.full((2, 2), 1.7e308))
    with pytest.raises(OverflowingForecast):
        a_forecaster().simulate(2, 3, exog=np.full((2, 2), 1.7e308))
    with pytest.raises(OverflowingForecast):
        a_forecaster().append(np.full((1, 2), 1.7e308), np.full((1, 2), -1.7e308))


def test_what_cannot_be_answered_is_refused_with_the_errors_of_the_contract() -> None:
    forecaster = a_forecaster()
    with pytest.raises(HorizonError):
        forecaster.forecast(0, exog=EXOG)
    with pytest.raises(ExogError):
        forecaster.forecast(5)
    with pytest.raises(ExogError):
        forecaster.forecast(4, exog=EXOG)
    with pytest.raises(QuantilesError):
        forecaster.forecast(5, exog=EXOG, quantiles=[1.0])
    with pytest.raises(ObservationsError):
        forecaster.append(np.array([[np.inf, 1.0]]), EXOG[:1])
    with pytest.raises(ExogError):
        forecaster.append(np.ones((1, 2)))
    for paths in (0, True, 2.5):
        with pytest.raises(InputError, match="paths"):
            forecaster.simulate(5, paths, exog=EXOG)


def test_exogenous_values_far_outside_the_training_range_are_said() -> None:
    exog = EXOG.copy()
    assert a_forecaster().forecast(5, exog=exog).notices == ()
    exog[3, 1] = 6.1  # the range is -2 to 2: one width beyond its end is 6
    (notice,) = a_forecaster().forecast(5, exog=exog).notices
    assert (notice.code, notice.columns) == ("exog-outside-training-range", ("x1",))


def test_standing_notices_are_in_every_answer_and_survive_append() -> None:
    notice = Notice("collinear", "x0 and x1 move together.", ("x0", "x1"))
    forecaster = StateSpaceForecaster(a_system(), a_signature(), [notice])
    assert forecaster.forecast(5, exog=EXOG).notices == (notice,)
    assert forecaster.append(np.ones((1, 2)), EXOG[:1]).forecast(5, exog=EXOG).notices == (notice,)


@pytest.mark.parametrize(("root", "said"), [(0.99, "69 steps"), (1.0, "never die out"), (-0.985, "0.9850")])
def test_an_eigenvalue_near_one_is_said_with_its_modulus(root: float, said: str) -> None:
    (notice,) = stability_notices(np.array([[root, 1.0], [0.0, 0.3]]))
    assert notice.code == "eigenvalue-near-one"
    assert said in notice.message


def test_eigenvalues_well_inside_the_unit_circle_are_not_worth_a_word() -> None:
    assert stability_notices(np.array([[0.9, 1.0], [0.0, 0.3]])) == ()
    assert stability_notices(np.empty((0, 0))) == ()


def test_arrays_of_a_system_are_copies_that_cannot_be_written() -> None:
    mean = np.zeros(3)
    system = a_system(mean=mean)
    mean[:] = 1
    assert system.mean.tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="read-only"):
        system.mean[0] = 1
