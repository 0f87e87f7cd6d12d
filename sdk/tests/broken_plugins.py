"""One plugin for each rule of the conformance kit, broken in just that way, and one that declares nothing and is whole."""

from __future__ import annotations

import contextlib
import time
from dataclasses import fields, replace
from functools import partial
from typing import ClassVar

import marshmallow
import numpy as np

from forecastle_sdk.data import Estimate, Forecast
from forecastle_sdk.errors import (
    Cancelled,
    DataError,
    ExogError,
    HorizonError,
    InputError,
    ObservationsError,
    QuantilesError,
)
from forecastle_sdk.naive import NaiveForecaster, NaiveParameters, NaivePlugin
from forecastle_sdk.plugin import Capability, Forecaster

EVERYTHING = frozenset(Capability)
TRAINED = 80  # rows that the kit's own data leave for training


class Subject(NaivePlugin):
    """The naive plugin with a forecaster of its own; `breaks` is the name of the rule that must notice."""

    breaks: ClassVar[str]
    forecaster: ClassVar[type[NaiveForecaster]] = NaiveForecaster

    def __init_subclass__(cls) -> None:
        cls.__module__ = NaivePlugin.__module__  # a fresh interpreter could not import a module of tests

    def fit(self, data, parameters, context):
        fit = super().fit(data, parameters, context)
        return replace(fit, forecaster=self.dressed(fit.forecaster))

    def restore(self, state, format):
        return self.dressed(super().restore(state, format))

    def dressed(self, plain):
        return self.forecaster(**{field.name: getattr(plain, field.name) for field in fields(plain)})


class OtherContract(Subject):
    breaks = "test_it_is_a_plugin_of_this_contract"
    contract = 99


class StrangeName(Subject):
    breaks = "test_its_name_fits_an_address_and_a_command_line"
    name = "Naïve plugin!"


class Nameless(Subject):
    breaks = "test_it_describes_itself_to_people"
    title = " "


class LooseCapabilities(Subject):
    breaks = "test_it_declares_capabilities_that_exist"
    capabilities = tuple(Capability)


class TrustsClasses(Subject):
    breaks = "test_its_trusted_types_and_state_format_can_be_stored"
    trusted_types = (np.ndarray,)


class SchemaMaker(Subject):
    breaks = "test_its_parameters_are_a_schema"
    parameters = partial(NaiveParameters)


class Careless(Subject):
    breaks = "test_an_unknown_parameter_is_refused"

    class parameters(NaiveParameters):  # noqa: N801  # the contract's name
        class Meta:
            unknown = marshmallow.EXCLUDE


class Gullible(Subject):
    breaks = "test_a_wrong_parameter_is_refused"

    class parameters(marshmallow.Schema):  # noqa: N801  # the contract's name
        drift = marshmallow.fields.Raw()


class UsesUpItsParameters(Subject):
    breaks = "test_a_fit_leaves_its_input_as_it_was"

    def fit(self, data, parameters, context):
        return super().fit(data, {"drift": parameters.pop("drift")}, context)


class ChangesItsData(Subject):
    breaks = "test_a_fit_leaves_its_input_as_it_was"

    def fit(self, data, parameters, context):
        fit = super().fit(data, parameters, context)
        data.endog.setflags(write=True)
        data.endog[0] = 0.0
        return fit


class DrawsFromTheWorld(Subject):
    breaks = "test_a_fit_depends_on_the_seed_of_its_context_alone"

    def fit(self, data, parameters, context):
        fit = super().fit(data, parameters, context)
        noise = np.random.default_rng(int(np.random.get_state()[1][0] % 3)).normal(size=len(data.endog_names))
        return replace(fit, forecaster=replace(fit.forecaster, level=fit.forecaster.level + noise))


class NotANumber(Subject):
    breaks = "test_a_fit_says_what_it_found"

    def fit(self, data, parameters, context):
        return replace(super().fit(data, parameters, context), estimates=(Estimate("sigma2", float("nan")),))


class Miscounts(Subject):
    breaks = "test_the_signature_describes_the_training_rows"

    def dressed(self, plain):
        if plain.signature.nobs == TRAINED:
            plain = replace(plain, signature=replace(plain.signature, nobs=TRAINED - 1))
        return plain


class HidesItsChoice(Subject):
    breaks = "test_the_resolved_parameters_load_again_and_repeat_the_fit"

    def fit(self, data, parameters, context):
        return replace(super().fit(data, parameters, context), parameters={"drift": not parameters["drift"]})


class ContentWithOneRow(Subject):
    breaks = "test_too_few_rows_are_refused"

    def fit(self, data, parameters, context):
        if data.nobs == 1:
            twice = np.repeat(data.endog, 2, axis=0), None if data.exog is None else np.repeat(data.exog, 2, axis=0)
            data = replace(data, endog=twice[0], exog=twice[1])
        return super().fit(data, parameters, context)


class InventsAColumn(Subject):
    breaks = "test_a_column_without_any_value_is_refused"

    def fit(self, data, parameters, context):
        empty = np.isnan(data.endog).all(axis=0)
        return super().fit(replace(data, endog=np.where(empty, 1.0, data.endog)), parameters, context)


class TakesStepsBack(Subject):
    breaks = "test_progress_never_goes_back"

    def fit(self, data, parameters, context):
        context.progress(3, 4, "nearly done")
        return super().fit(data, parameters, context)


class NeverAsks(Subject):
    breaks = "test_a_cancelled_fit_stops"

    def fit(self, data, parameters, context):
        return super().fit(data, parameters, type(context)(context.seed))


class DoesNotStop(Subject):
    breaks = "test_a_cancelled_fit_stops"

    def fit(self, data, parameters, context):
        with contextlib.suppress(Cancelled):
            return super().fit(data, parameters, context)
        return super().fit(data, parameters, context)


class StaysHere(Subject):
    breaks = "test_work_lent_to_the_context_may_run_elsewhere_in_any_order"

    def fit(self, data, parameters, context):
        list(context.run(lambda item: item, [1]))
        return super().fit(data, parameters, context)


def _itself(item):
    return item


class TakesTheLastToFinish(Subject):
    breaks = "test_work_lent_to_the_context_may_run_elsewhere_in_any_order"

    def fit(self, data, parameters, context):
        *_, drift = context.run(_itself, [not parameters["drift"], parameters["drift"]])
        return replace(super().fit(data, {"drift": drift}, context), parameters=dict(parameters))


class Flattens(Subject):
    breaks = "test_a_forecast_has_a_row_for_each_step_and_a_column_for_each_series"

    class forecaster(NaiveForecaster):  # noqa: N801
        def forecast(self, horizon, **question):
            answer = super().forecast(horizon, **question)
            return answer if len(answer.quantiles) else Forecast(answer.mean, np.empty(0))


class MixesUpColumns(Subject):
    breaks = "test_each_column_is_forecast_in_its_own_place_and_units"

    def fit(self, data, parameters, context):
        return super().fit(replace(data, endog=data.endog[:, ::-1]), parameters, context)


class SortsQuantiles(Subject):
    breaks = "test_quantiles_are_answered_in_the_order_asked_and_never_cross"

    class forecaster(NaiveForecaster):  # noqa: N801
        def forecast(self, horizon, quantiles=(), **question):
            return super().forecast(horizon, quantiles=sorted(quantiles), **question)


class TakesAnyHorizon(Subject):
    breaks = "test_a_horizon_that_is_no_number_of_steps_is_refused"

    class forecaster(NaiveForecaster):  # noqa: N801
        def forecast(self, horizon, **question):
            return super().forecast(int(horizon), **question)


class KnowsNoLimit(Subject):
    breaks = "test_a_horizon_beyond_the_limit_is_refused"

    class forecaster(NaiveForecaster):  # noqa: N801
        def forecast(self, horizon, exog=None, **question):
            try:
                return super().forecast(horizon, exog=exog, **question)
            except HorizonError as error:
                if error.reason != "horizon-too-large":
                    raise
                return super().forecast(1, exog=exog[:1], **question)


class TakesAnyQuantile(Subject):
    breaks = "test_a_quantile_outside_its_range_or_given_twice_is_refused"

    class forecaster(NaiveForecaster):  # noqa: N801
        def forecast(self, horizon, quantiles=(), **question):
            try:
                return super().forecast(horizon, quantiles=quantiles, **question)
            except QuantilesError:
                return super().forecast(horizon, **question)


class TakesAnyExog(Subject):
    breaks = "test_wrong_future_exog_is_refused"

    class forecaster(NaiveForecaster):  # noqa: N801
        def forecast(self, horizon, exog=None, **question):
            try:
                return super().forecast(horizon, exog=exog, **question)
            except ExogError:
                return super().forecast(horizon, exog=np.zeros((horizon, len(self.signature.exog))), **question)


class Overflows(Subject):
    breaks = "test_a_forecast_that_overflows_is_refused"

    class forecaster(NaiveForecaster):  # noqa: N801
        def forecast(self, horizon, exog=None, **question):
            answer = super().forecast(horizon, exog=exog, **question)
            huge = exog is not None and len(exog) and np.max(exog) > 1e300
            return replace(answer, mean=answer.mean + np.inf) if huge else answer


class ChangesItsExog(Subject):
    breaks = "test_asking_changes_nothing"

    class forecaster(NaiveForecaster):  # noqa: N801
        def forecast(self, horizon, exog=None, **question):
            answer = super().forecast(horizon, exog=exog, **question)
            if exog is not None:
                exog[...] = 0.0
            return answer


class KeepsItsAnswers(Subject):
    breaks = "test_asking_changes_nothing"

    class forecaster(NaiveForecaster):  # noqa: N801
        def forecast(self, horizon, exog=None, quantiles=(), seed=0):
            if not hasattr(self, "answers"):
                object.__setattr__(self, "answers", {})
            fresh = super().forecast(horizon, exog=exog, quantiles=quantiles, seed=seed)
            return self.answers.setdefault((horizon, tuple(quantiles)), fresh)


class NotesTheHorizon(Subject):
    breaks = "test_eight_threads_get_the_answers_that_one_gets"

    class forecaster(NaiveForecaster):  # noqa: N801
        def forecast(self, horizon, exog=None, **question):
            super().forecast(horizon, exog=exog, **question)
            object.__setattr__(self, "now", horizon)
            time.sleep(0.001)
            return super().forecast(
                self.now, exog=None if exog is None else np.resize(exog, (self.now, exog.shape[1])), **question
            )


class StoresATuple(Subject):
    breaks = "test_a_state_is_plain_data"

    class forecaster(NaiveForecaster):  # noqa: N801
        def state(self):
            return {**super().state(), "extra": (1, 2)}


class ForgetsTheLimit(Subject):
    breaks = "test_a_restored_forecaster_is_the_one_that_was_stored"

    def restore(self, state, format):
        restored = super().restore(state, format)
        if restored.signature.nobs == TRAINED:
            restored = replace(restored, signature=replace(restored.signature, max_horizon=7))
        return restored


class ForgetsWhatWasAppended(Subject):
    breaks = "test_an_appended_forecaster_is_restored_like_any_other"

    def restore(self, state, format):
        restored = super().restore(state, format)
        return replace(restored, level=restored.level + (restored.signature.nobs > TRAINED))


class ReadsEveryFormat(Subject):
    breaks = "test_a_state_of_an_unknown_format_is_refused"

    def restore(self, state, format):
        return super().restore(state, self.state_format)


class Stumbles(Subject):
    breaks = "test_a_state_with_nothing_in_it_is_refused"

    def restore(self, state, format):
        assert state["level"] is not None
        return super().restore(state, format)


class ForgetsAFormat(Subject):
    breaks = "test_frozen_states_still_load"
    state_format = 2


class OtherMeaning(Subject):
    breaks = "test_frozen_states_still_load"

    def restore(self, state, format):
        restored = super().restore(state, format)
        if "since" not in state:
            restored = replace(restored, level=restored.level + 1.0)
        return restored

    class forecaster(NaiveForecaster):  # noqa: N801
        def state(self):
            return {**super().state(), "since": 2}


class TakesAnyData(Subject):
    breaks = "test_data_that_needs_an_undeclared_capability_is_refused"
    capabilities = EVERYTHING - {Capability.EXOG}

    def fit(self, data, parameters, context):
        return NaivePlugin().fit(data, parameters, context)


class AppendsUndeclared(Subject):
    breaks = "test_an_undeclared_append_is_refused"
    capabilities = EVERYTHING - {Capability.APPEND}


class SimulatesUndeclared(Subject):
    breaks = "test_undeclared_simulations_are_refused"
    capabilities = EVERYTHING - {Capability.SIMULATE}


class FillsExog(Subject):
    breaks = "test_missing_exog_is_refused_in_training"

    def fit(self, data, parameters, context):
        return super().fit(replace(data, exog=np.nan_to_num(data.exog)), parameters, context)


class WantsNoHoles(Subject):
    breaks = "test_missing_values_are_fitted_around"

    def fit(self, data, parameters, context):
        if np.isnan(data.endog).any():
            raise DataError("no holes, please")
        return super().fit(data, parameters, context)


class AppendsNoHoles(Subject):
    breaks = "test_missing_values_are_appended_around"

    class forecaster(NaiveForecaster):  # noqa: N801
        def append(self, endog, exog=None):
            if np.isnan(endog).any():
                raise ObservationsError("no holes, please")
            return super().append(endog, exog)


class StandsStill(Subject):
    breaks = "test_append_gives_a_new_forecaster_further_on"

    class forecaster(NaiveForecaster):  # noqa: N801
        def append(self, endog, exog=None):
            return replace(super().append(endog, exog), signature=self.signature)


class LooksAway(Subject):
    breaks = "test_append_sees_the_new_rows"

    class forecaster(NaiveForecaster):  # noqa: N801
        def append(self, endog, exog=None):
            return replace(super().append(endog, exog), level=self.level)


class Averages(Subject):
    breaks = "test_rows_appended_one_by_one_or_at_once_are_the_same"

    class forecaster(NaiveForecaster):  # noqa: N801
        def append(self, endog, exog=None):
            new = super().append(endog, exog)
            return replace(new, level=(self.level + new.level) / 2)


class TakesAnyRows(Subject):
    breaks = "test_wrong_observations_are_refused"

    class forecaster(NaiveForecaster):  # noqa: N801
        def append(self, endog, exog=None):
            try:
                return super().append(endog, exog)
            except ObservationsError:
                return self


class AppendsWithoutExog(Subject):
    breaks = "test_observations_need_the_exog_of_their_rows"

    class forecaster(NaiveForecaster):  # noqa: N801
        def append(self, endog, exog=None):
            try:
                return super().append(endog, exog)
            except ExogError:
                return self


class OneSeed(Subject):
    breaks = "test_simulated_paths_come_from_the_seed"

    class forecaster(NaiveForecaster):  # noqa: N801
        def simulate(self, horizon, paths, exog=None, seed=0):
            return super().simulate(horizon, paths, exog=exog, seed=3)


class Confident(Subject):
    breaks = "test_simulated_paths_scatter_as_the_forecast_says"

    class forecaster(NaiveForecaster):  # noqa: N801
        def simulate(self, horizon, paths, exog=None, seed=0):
            mean = super().forecast(horizon, exog=exog).mean
            return mean + 0.5 * (super().simulate(horizon, paths, exog=exog, seed=seed) - mean)


class AnswersAnything(Subject):
    breaks = "test_wrong_questions_get_no_paths"

    class forecaster(NaiveForecaster):  # noqa: N801
        def simulate(self, horizon, paths, exog=None, seed=0):
            try:
                return super().simulate(horizon, paths, exog=exog, seed=seed)
            except InputError:
                return np.zeros((paths, horizon, len(self.level)))


class Modest(Subject):
    """Whole, though it can do nothing beyond a forecast."""

    capabilities = frozenset()

    class forecaster(NaiveForecaster):  # noqa: N801
        append = Forecaster.append
        simulate = Forecaster.simulate


BROKEN = [subject for subject in Subject.__subclasses__() if subject is not Modest]
