"""Beside real people: gates and their rivals on 160 reversals and on card sorting, trial by trial."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr

import gatedlib as gl
from gatedlib import record
from gatedlib_book import choices
from gatedlib_book.cache import cached
from gatedlib_book.choices import Series
from gatedlib_book.claims import Measured, claim
from gatedlib_book.estimates import Estimate, Numbers, along, difference, exact, fraction, median, resampled, stacked
from gatedlib_book.experiments import FLEXIBLE, FORGETFUL
from gatedlib_book.networks import first_seed, networks

DATA = Path(__file__).parent / "data"

RULES = ("colour", "form", "number")
"""The rules of card sorting, in the order in which they are asked for."""


def reversals() -> xr.Dataset:
    """Choices of three people in three sessions of 200 trials, with 160 reversals.

    Returns:
        `right`, the option that is rewarded in 80 % of trials, `chosen`, `rewarded` and `milliseconds`; dims person,
        session and trial, numbered from 1.

    Source: example data of the Python package hbayesdm 1.1.1 (Ahn, Haines and Zhang 2017), which does not say where
    they were collected.
    """
    table = pd.read_csv(DATA / "reversals.csv")
    return xr.Dataset.from_dataframe(table.set_index(["person", "session", "trial"]))


def card_sorting() -> pd.DataFrame:
    """Choices of ten people in the Wisconsin card sorting test: one row for each card.

    Returns:
        `person`, `trial`, the pile `chosen` of four, whether that was `rewarded`, and the pile that each rule asks for:
        `by_colour`, `by_form` and `by_number`.

    Source: as for `reversals`.
    """
    return pd.read_csv(DATA / "card_sorting.csv")


def reversal_series(data: xr.Dataset | None = None) -> Series:
    """The trials of reversal learning, with people as units and sessions as series."""
    data = reversals() if data is None else data
    return choices.two_options(data.chosen.values - 1, data.rewarded.values.astype(float))


def card_series() -> Series:
    """The trials of card sorting, with people as units of one series each; trials that are not there do not count."""
    table = card_sorting()
    people, longest = table.person.nunique(), table.trial.max()
    person, trial = table.person.to_numpy() - 1, table.trial.to_numpy() - 1
    chosen, outcome = np.zeros((people, 1, longest), int), np.zeros((people, 1, longest))
    counted, predictions = np.zeros(chosen.shape, bool), np.zeros((*chosen.shape, 4, len(RULES)))
    chosen[person, 0, trial], outcome[person, 0, trial] = table.chosen - 1, table.rewarded
    counted[person, 0, trial] = True
    for place, rule in enumerate(RULES):
        predictions[person, 0, trial, table[f"by_{rule}"] - 1, place] = 1
    return Series(chosen, outcome, predictions, counted, repeats=False)


def since_reversal(right: np.ndarray) -> np.ndarray:
    """How many trials ago the last reversal was, 1 on the first trial after it; 0 before the first, by series."""
    trials = np.arange(right.shape[-1])
    reversed_here = np.concatenate([np.zeros((*right.shape[:-1], 1), bool), np.diff(right) != 0], -1)
    last = np.maximum.accumulate(np.where(reversed_here, trials, -1), -1)
    return np.where(last < 0, 0, trials - last + 1)


@cached
def fitted(learner: str) -> choices.Fitted:
    """A learner fitted to each of the three people."""
    return choices.fit(choices.LEARNERS[learner], reversal_series())


def settings_found(*learners: str) -> pd.DataFrame:
    """The settings that fit each person, a row for each; `decides` and `repeats` are the weights of choices."""
    tables = {}
    for learner in learners:
        found = fitted(learner)
        columns = {**found.settings, "decides": found.weights[:, 0], "repeats": found.weights[:, 1]}
        tables[choices.LEARNERS[learner].words] = pd.DataFrame(
            columns, index=pd.Index(reversals().person, name="person")
        )
    return pd.concat(tables, names=["learner"])


@cached
def held_out(learner: str, people: str = "real") -> xr.DataArray:
    """What a learner does not know of a session that it was not fitted to: minus the logarithm of its likelihood.

    Args:
        learner: of `choices.LEARNERS`.
        people: real, or simulated by the learner of this name with the settings that fit each person.

    Returns:
        In units of nats; dims person and session.
    """
    series = reversal_series()
    if people != "real":
        as_person = fitted(people)
        right = reversals().right.values - 1
        series = choices.simulate(
            choices.LEARNERS[people], as_person.settings, as_person.weights, right, seed=first_seed()
        )
    found = choices.held_out(choices.LEARNERS[learner], series)
    numbers = [range(1, size + 1) for size in found.shape]
    return xr.DataArray(found, dict(zip(("person", "session"), numbers, strict=True)), ("person", "session"))


def over_sessions(values: xr.DataArray) -> xr.DataArray:
    """The sessions of all people as one sample."""
    return values.stack(seed=("person", "session")).reset_index("seed", drop=True)


@claim("people-both-options", over="sessions", counterfactual={"people": "independent"})
def both_options(people: str = "real") -> Measured:
    """Gates that share a bounded sum predict people better than values that stay as they are when not chosen.

    Reversal learning, 3 people, 9 sessions: minus log-likelihood of each session by what was fitted to the other two
    of the person. Intervals are over the nine sessions.
    """
    free, rigid, gates = (held_out(learner, people) for learner in ("independent", "fictitious", "gates"))
    n = Numbers(
        free_gates=median(over_sessions(free)),
        rigid_bound=median(over_sessions(rigid)),
        free_less_rigid=median(over_sessions(free - rigid)),
        free_less_fitted_bound=median(over_sessions(free - gates)),
        free_at_two_speeds_less_rigid=median(over_sessions(held_out("two_speeds", people) - rigid)),
    )
    return n, {
        "a session without the bound is less likely by {} nats": n.free_less_rigid > 0,
        "and than with one that is fitted, {}": n.free_less_fitted_bound > 0,
        "two speeds of learning, after a reward and after none, do not help: {}": n.free_at_two_speeds_less_rigid > 0,
    }


def charged(found: choices.Fitted, series: Series) -> np.ndarray:
    r"""Half of Schwarz's criterion for each unit, in nats: how unlikely its choices are, with a charge for each number.

    .. math::

        \tfrac k2 \ln n - \ln p
    """
    numbers = len(found.settings) + found.weights.shape[-1]
    return found.loss + numbers / 2 * np.log(series.counted.sum((-2, -1)))


def bic(learner: str) -> float:
    """Schwarz's criterion of a learner fitted to all sessions of each person, summed: smaller is better."""
    return float(2 * charged(fitted(learner), reversal_series()).sum())


@claim("people-alike", over="sessions", counterfactual={"rivals": ("independent", "two_speeds")})
def alike(rivals: tuple[str, ...] = ("observer", "forgetting")) -> Measured:
    """On reversals a Bayesian observer predicts people about as well as gates with a rigid bound; so does forgetting.

    As above. The observer reckons with switches and misleading outcomes, how often they come is fitted; forgotten
    values are independent, and that of the option not chosen returns to where it began. Sums are over all sessions.
    """
    differences = along("learner", rivals, [held_out(rival) - held_out("fictitious") for rival in rivals])
    n = Numbers(
        rigid_bound=median(over_sessions(held_out("fictitious"))),
        rival_less_rigid=median(over_sessions(differences)),
        rival_less_rigid_in_all=exact(differences.sum(("person", "session")), learner=rivals),
        bic_of_rival_less_rigid=exact([bic(rival) - bic("fictitious") for rival in rivals], learner=rivals),
    )
    return n, {"each rival makes a session more or less likely by {} nats": n.rival_less_rigid.within(-2, 2)}


LATER = (3, 6)
"""The trials after a reversal that practice can speed: the first tells that something changed, the second is new."""


def after_reversals(correct: xr.DataArray) -> pd.DataFrame:
    """Trials after a reversal, one row each: person, session, how many trials `since`, which reversal, if it was right.

    Args:
        correct: whether each trial of `reversals` was right; dims person, session and trial.
    """
    right = reversals().right
    data = xr.Dataset({"correct": correct, "since": right.copy(data=since_reversal(right.values))})
    table = data.to_dataframe(dim_order=["person", "session", "trial"]).reset_index()
    table["reversal"] = (table.since == 1).cumsum()
    return table[table.since > 0]


def shares_right(table: pd.DataFrame, first: int, last: int) -> dict[int, np.ndarray]:
    """For each session, the share of right trials among those so many after each reversal."""
    within = table[table.since.between(first, last)]
    shares = within.groupby(["session", "reversal"]).correct.mean()
    return {session: found.to_numpy() for session, found in shares.groupby("session")}


def by_session(shares: dict[int, np.ndarray]) -> Estimate:
    """The mean in each session, with its interval over reversals."""
    return stacked([resampled(np.mean, values) for values in shares.values()], session=list(shares))


@claim("people-practice", over="reversals", counterfactual={"first": 3, "last": 1})
def practice(first: int = 1, last: int = 3) -> Measured:
    """From the first session to the third people get better soon after a reversal; its first trial is mostly wrong.

    Trials 3 to 6 after each of 160 reversals, and the first. Intervals are over reversals.
    """
    data = reversals()
    table = after_reversals(data.chosen == data.right)
    later, at_once = shares_right(table, *LATER), shares_right(table, 1, 1)
    gain = difference(later[last], later[first])
    each = [shares_right(table[table.person == person], *LATER) for person in data.person.values]
    n = Numbers(
        right_in_trials_3_to_6=by_session(later),
        right_in_first_trial=by_session(at_once),
        gain=gain,
        gain_of_each=exact([of[last].mean() - of[first].mean() for of in each], person=data.person.values.tolist()),
    )
    return n, {
        "trials 3 to 6 get better by {}": n.gain > 0,
        "the first trial is right with probability {} in every session": n.right_in_first_trial < 0.25,
    }


class Outcomes(gl.Inputs):
    """What a trial of choices shows: whether the chosen option was rewarded, and nothing of the others.

    The teacher of a trial has the outcome at the chosen option, and -1 at the others.
    """

    def draw(self, key: Any, d_out: int, d_in: int) -> None:
        return None

    def loss(self, matrix: Any, teacher: Any, batch: Any) -> tuple[Any, Any]:
        error = jnp.where(teacher >= 0, matrix - teacher, 0)
        return jnp.sum(error**2) / 2, error


SEEN = gl.Given(np.array([[[0.0, -1.0]], [[1.0, -1.0]], [[-1.0, 0.0]], [[-1.0, 1.0]]]))
"""What a trial can show: the first option unrewarded or rewarded, and the second."""

STEPS_PER_TRIAL = 30
"""Steps of a network for each trial."""


def on_trials(
    chosen: np.ndarray, outcome: np.ndarray, length: float, student: gl.Experiment, steps: int = STEPS_PER_TRIAL
) -> gl.Experiment:
    """A network that sees choices of another, for some time each.

    Args:
        chosen: the option chosen in each trial, 0 or 1.
        outcome: 1 or 0.
        length: how long a trial lasts, in time units.
        student: its network and flow.
        steps: of learning in each trial.
    """
    order = tuple((2 * chosen + outcome).astype(int).tolist())
    curriculum = gl.Blocked(blocks=len(order), block_length=length, order=order)
    return student.replace(teachers=SEEN, curriculum=curriculum, inputs=Outcomes(), dt=length / steps)


TRIAL_LENGTHS = (0.02, 0.1, 0.4)
"""How long a trial may last for a network, in time units: its one free number."""

TASKS_KNOWN = gl.Params(weights=np.eye(2)[:, None], gates=np.full(2, 0.5))
"""Each path predicts reward for one option: the two tasks are known, and gates undecided."""

GATES_ONLY = FLEXIBLE.replace(tau_w=math.inf)
"""The flexible network, when its weights learn no more."""


@cached
def network_choices(student: gl.Experiment, length: float, person: int) -> xr.DataArray:
    """Whether networks that see all trials of a person would choose the right option, before each trial.

    Networks whose weights do not learn know the two tasks from the start, and are all the same.

    Returns:
        The share of networks that would; dims session and trial.
    """
    data = reversals().sel(person=person)
    trials = data.stack(step=("session", "trial"))
    experiment = on_trials(trials.chosen.values - 1, trials.rewarded.values, length, student)
    known = math.isinf(student.flow.tau_w)
    seeds, initial = (networks(1), TASKS_KNOWN) if known else (networks(20), None)
    results = gl.simulate(experiment, seeds, (record.gates, record.weights), every=STEPS_PER_TRIAL, initial=initial)
    reward = (results.gates * results.weights).sum("path").isel(out=0)
    better = 1 + (reward.isel({"in": 1}) > reward.isel({"in": 0})).transpose("time", "seed")
    right = (better.values == trials.right.values[:, None]).mean(-1)
    shape = data.sizes["session"], data.sizes["trial"]
    return xr.DataArray(right.reshape(shape), {name: data[name] for name in ("session", "trial")}, ("session", "trial"))


def network_right(student: gl.Experiment) -> xr.DataArray:
    """The same for all people, with trials as long as makes it right most often; dims person, session and trial."""
    people = reversals().person.values
    found = [
        xr.concat([network_choices(student, length, int(person)) for person in people], xr.Variable("person", people))
        for length in TRIAL_LENGTHS
    ]
    return max(found, key=lambda right: float(right.mean()))


@claim("people-known-tasks", over="reversals", swap=(GATES_ONLY, FLEXIBLE))
def known_tasks(knowing: gl.Experiment, learning: gl.Experiment) -> Measured:
    """Practised people are right as often soon after a reversal as gates that know both tasks, novices less often.

    Networks see the trials of each person, 0.02, 0.1 or 0.4 time units for each, whichever serves them best; would
    their own choice be right in trials 3 to 6 after a reversal? Reversal by reversal; intervals are over reversals. For
    comparison, networks that learn the tasks from these trials as well.
    """
    data = reversals()
    people, knows, learns, forgets = (
        shares_right(after_reversals(right), *LATER)
        for right in (data.chosen == data.right, *map(network_right, (knowing, learning, FORGETFUL)))
    )
    n = Numbers(
        right_in_trials_3_to_6_gates_only=by_session(knows),
        right_in_trials_3_to_6_flexible=by_session(learns),
        right_in_trials_3_to_6_forgetful=by_session(forgets),
        people_less_gates_only=by_session({session: people[session] - knows[session] for session in people}),
        people_less_flexible=by_session({session: people[session] - learns[session] for session in people}),
    )
    ahead, of_learning = n.people_less_gates_only, n.people_less_flexible
    n["gain_on_gates_only"] = difference(people[3] - knows[3], people[1] - knows[1])
    return n, {
        "first session: people less gates that know the tasks, {}": ahead.at(session=1) < 0,
        "third session: {}": ahead.at(session=3).within(-0.1, 0.1),
        "from the first to the third people gain on them, {}": n.gain_on_gates_only > 0,
        "third session: people less networks that learn the tasks, {}": of_learning.at(session=3) > 0,
    }


def rule_in_force(table: pd.DataFrame) -> pd.Series:
    """The number of the rule in force on each card: the next one, after ten right in a row."""
    rules = []
    for _, cards in table.groupby("person"):
        category, row = 0, 0
        for rewarded in cards.rewarded:
            rules.append(category)
            row = row + 1 if rewarded else 0
            if row == 10:
                category, row = category + 1, 0
    return pd.Series(rules, table.index, name="category")


@cached
def card_fit(learner: str) -> choices.Fitted:
    """A learner fitted to each of the ten people who sorted cards."""
    return choices.fit(choices.LEARNERS[learner], card_series())


def card_losses(learner: str) -> xr.DataArray:
    """How unlikely a learner finds a person's cards, in nats per card, with Schwarz's charge for fitted numbers.

    Returns:
        Dims seed, which stands for people.
    """
    series = card_series()
    return xr.DataArray(charged(card_fit(learner), series) / series.counted.sum((-2, -1)), dims="seed")


@claim("people-cards", over="people", counterfactual={"rival": "nothing"})
def cards(rival: str = "independent") -> Measured:
    """In card sorting a rigid bound on the gates hardly changes how well they predict people.

    Ten people, 83 to 128 cards, fitted to each; nats per card, as many numbers fitted with the bound as without. For
    comparison, with a charge for each fitted number: how many people are predicted better than if they learned nothing.
    """
    rigid, observer, nothing = (card_losses(learner) for learner in ("fictitious", "observer", "nothing"))
    n = Numbers(
        nats_by_chance=exact(np.log(4)),
        rigid_bound=median(rigid),
        rival_less_rigid=median(card_losses(rival) - rigid),
        observer_less_rigid=median(observer - rigid),
        forgetting_less_rigid=median(card_losses("forgetting") - rigid),
        rigid_better_than_nothing=fraction(rigid < nothing),
        observer_better_than_nothing=fraction(observer < nothing),
    )
    return n, {"without the bound a card is more or less likely by {} nats": n.rival_less_rigid.within(-0.05, 0.05)}


def perseveration() -> pd.DataFrame:
    """How often cards go where the old rule alone asks for, from the second to the sixth after a switch of rule.

    The first card after a switch is the one that tells of it.

    Returns:
        For people and for learners, the share of cards of which the old rule asks for another pile than both others,
        with the 95 % interval over people.
    """
    table, series = card_sorting(), card_series()
    category = rule_in_force(table)
    since = table.groupby(["person", category]).cumcount()
    by = table[[f"by_{rule}" for rule in RULES]].to_numpy()
    row = np.arange(len(table))
    old, new, third = (by[row, (category + ahead) % len(RULES)] for ahead in (-1, 0, 1))
    shown = ((category > 0) & since.between(1, 5) & (old != new) & (old != third)).to_numpy()
    person, trial = table.person.to_numpy()[shown] - 1, table.trial.to_numpy()[shown] - 1
    rows = {"people": (table.chosen.to_numpy() == old)[shown].astype(float)}
    for name in ("independent", "fictitious", "observer", "nothing"):
        fit = card_fit(name)
        given = choices.features(choices.LEARNERS[name], series, fit.settings)
        chances = choices.probabilities(given, fit.weights)
        rows[choices.LEARNERS[name].words] = chances[old[shown] - 1, person, 0, trial]
    by_person = pd.DataFrame(rows).groupby(person)
    sums = np.column_stack([by_person.sum(), by_person.size()])
    shares = resampled(lambda some: some[:, :-1].sum(0) / some[:, -1].sum(), sums)
    return pd.DataFrame({"share": shares.value, "from": shares.low, "to": shares.high}, list(rows))


def trials_to_criterion() -> pd.DataFrame:
    """Cards until ten right in a row, by category: the mean over those who got so far, with how many these were."""
    table = card_sorting()
    rewarded = table.groupby(["person", rule_in_force(table)]).rewarded
    taken = pd.DataFrame({"cards": rewarded.size(), "right": rewarded.apply(lambda each: each.tail(10).sum())})
    complete = taken[taken.right == 10]
    return complete.groupby("category").cards.agg(["mean", "count"])


SIMULATED = 100


@cached
def recovered(learner: str, trials: int = 200) -> xr.Dataset:
    """Settings of simulated people, and what a fit of their choices says they are.

    Args:
        learner: by which learner they choose.
        trials: how many trials of each of three sessions are used.

    Returns:
        `tau_c`, true and found, and by how many nats fictitious updating fits better than
        independent values; dims seed, one for each simulated person.
    """
    random = np.random.default_rng(first_seed())
    low, high = np.log([0.2, 3.0])
    tau_c = np.exp(random.uniform(low, high, SIMULATED))
    weights = np.stack([random.uniform(4, 12, SIMULATED), random.uniform(0, 3, SIMULATED)], -1)
    right = np.resize(reversals().right.values - 1, (SIMULATED, 3, 200))[..., :trials]
    series = choices.simulate(choices.LEARNERS[learner], {"tau_c": tau_c}, weights, right, seed=first_seed())
    fits = {name: choices.fit(choices.LEARNERS[name], series) for name in ("independent", "fictitious")}
    return xr.Dataset(
        {
            "tau_c": (("kind", "seed"), np.stack([tau_c, fits[learner].settings["tau_c"]])),
            "independent_less_fictitious": ("seed", fits["independent"].loss - fits["fictitious"].loss),
        },
        {"kind": ["true", "found"]},
    )


@cached
def recognized(learner: str, rival: str, copies: int = 5) -> xr.DataArray:
    """Whether a fit prefers a learner to its rival, for people who choose by it with the settings that fit real ones.

    Args:
        learner: by which the simulated people choose.
        rival: the other one that is fitted.
        copies: how many are simulated of each real person.

    Returns:
        By Schwarz's criterion; dims seed, one for each simulated person.
    """
    people = fitted(learner)
    settings = {name: np.repeat(values, copies) for name, values in people.settings.items()}
    right = np.repeat(reversals().right.values - 1, copies, axis=0)
    weights = np.repeat(people.weights, copies, axis=0)
    series = choices.simulate(choices.LEARNERS[learner], settings, weights, right, seed=first_seed())
    own, other = (charged(choices.fit(choices.LEARNERS[name], series), series) for name in (learner, rival))
    return xr.DataArray(own < other, dims="seed")


@claim("people-recovery", over="simulated people", counterfactual={"trials": 20})
def recovery(trials: int = 200) -> Measured:
    """Six hundred trials tell whether a learner's gates share a bounded sum, and how fast they are.

    A hundred simulated people with gates of known speed, with a rigid bound or without, on the reversals of real ones.
    For comparison, 15 who choose as the real people were fitted, as observers, or by values that are forgotten: how
    many of them are told from gates with a bound.
    """
    bounded, free = (recovered(learner, trials) for learner in ("fictitious", "independent"))
    ratio = np.log(bounded.tau_c.sel(kind="found") / bounded.tau_c.sel(kind="true"))
    n = Numbers(
        error_of_log_tau_c=median(abs(ratio)),
        bounded_recognized=fraction(bounded.independent_less_fictitious > 0),
        free_recognized=fraction(free.independent_less_fictitious < 0),
        observers_told_from_gates=fraction(recognized("observer", "fictitious")),
        forgetting_told_from_gates=fraction(recognized("forgetting", "fictitious")),
    )
    return n, {
        "of those with a bound {} are recognized": n.bounded_recognized > 0.8,
        "and of those without {}": n.free_recognized > 0.8,
        "half of all speeds are found to within {} in their logarithm": n.error_of_log_tau_c < 0.3,
    }
