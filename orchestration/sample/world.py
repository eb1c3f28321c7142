"""Everything that happens in the sample retailer, as arrays; writing it down is done elsewhere."""

from dataclasses import dataclass
from datetime import date

import numpy as np

from orchestration.sample.campaigns import Campaigns, Costs, Effect, Messages, make_costs, plan_campaigns
from orchestration.sample.catalogue import Catalogue, Rates, make_catalogue, make_rates
from orchestration.sample.clock import Clock
from orchestration.sample.crm import (
    AccountFeed,
    ConsentFeed,
    deliver_accounts,
    deliver_consents,
    first_decisions,
)
from orchestration.sample.draws import Draws, Ints
from orchestration.sample.households import Households, form_households
from orchestration.sample.lines import EuroAmounts, Lines, Returns, euro_amounts, make_lines, make_returns
from orchestration.sample.orders import (
    OrderFeed,
    Orders,
    deliver_orders,
    model_orders,
    sort_orders,
    surrounding_orders,
)
from orchestration.sample.people import Accounts, Persons, make_accounts, make_persons
from orchestration.sample.purchases import Latent, Model, draw_latent, draw_purchases
from orchestration.sample.reactions import Reactions, play_campaigns
from orchestration.sample.web import Events, make_events


@dataclass(frozen=True)
class World:
    """The sample retailer's history."""

    clock: Clock
    seed: int
    model: Model
    latent: Latent
    persons: Persons
    households: Households
    accounts: Accounts
    catalogue: Catalogue
    rates: Rates
    orders: Orders
    order_feed: OrderFeed
    lines: Lines
    returns: Returns
    amounts: EuroAmounts
    plan: Campaigns
    costs: Costs
    messages: Messages
    reactions: Reactions
    effect: Effect
    events: Events
    account_feed: AccountFeed
    consent_feed: ConsentFeed


def make_world(persons: int, start: date, end: date, seed: int, model: Model | None = None) -> World:
    """Let `persons` people live from `start` to `end`."""
    model = model or Model()
    clock = Clock(start, end)

    def draws(purpose: str) -> Draws:
        return Draws(seed, purpose)

    latent = draw_latent(draws("latent"), model, persons)
    purchases = draw_purchases(draws("purchases"), model, latent, clock)
    people, households = form_households(draws("households"), make_persons(draws("persons"), purchases, persons, clock))
    accounts = make_accounts(draws("accounts"), people, clock)
    catalogue, rates = make_catalogue(draws("catalogue"), clock), make_rates(draws("rates"), clock)

    base = model_orders(draws("orders"), purchases, people, accounts, clock)
    consents = first_decisions(draws("consents"), accounts, clock)
    plan = plan_campaigns(draws("plan"), clock)
    played = play_campaigns(draws("campaigns"), plan, base, accounts, people, consents, latent, model, clock)
    around = surrounding_orders(draws("surrounding"), base, model.q / model.v, model, clock)
    orders, place = sort_orders(Orders.concatenate([base, played.caused, around]), clock)
    messages, reactions = _renumbered(played.messages, played.reactions, place)

    feed = deliver_orders(draws("delivery"), orders, clock)
    lines = make_lines(draws("lines"), orders, feed, catalogue, clock)
    returns = make_returns(draws("returns"), orders, lines, clock)
    return World(
        clock=clock,
        seed=seed,
        model=model,
        latent=latent,
        persons=people,
        households=households,
        accounts=accounts,
        catalogue=catalogue,
        rates=rates,
        orders=orders,
        order_feed=feed,
        lines=lines,
        returns=returns,
        amounts=euro_amounts(orders, lines, returns, catalogue, rates, clock),
        plan=plan,
        costs=make_costs(draws("costs"), plan, messages, clock),
        messages=messages,
        reactions=reactions,
        effect=played.effect,
        events=make_events(draws("web"), orders, lines, plan, messages, reactions, people, accounts, clock),
        account_feed=deliver_accounts(draws("crm"), accounts, clock),
        consent_feed=deliver_consents(accounts, consents, clock),
    )


def _renumbered(messages: Messages, reactions: Reactions, place: Ints) -> tuple[Messages, Reactions]:
    """Messages and reactions that point to the sorted orders."""

    def renumber(order: Ints) -> Ints:
        return np.where(order >= 0, place[np.maximum(order, 0)], order) if len(place) else order

    return (
        Messages(
            messages.campaign,
            messages.account,
            messages.at,
            messages.control,
            renumber(messages.order),
            messages.caused,
        ),
        Reactions(reactions.message, reactions.kind, reactions.at, renumber(reactions.order), reactions.agent),
    )
