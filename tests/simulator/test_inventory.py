"""Numbers on sale: finite, fictitious, each sold once, in one order."""

import pytest

from simulator.model.inventory import Inventory, InventoryParameters, is_area_code


def inventory(taken=(), **parameters):
    return Inventory(InventoryParameters(**parameters), set(taken).__contains__)


def buy_all(shelf, area_code):
    bought = []
    while (number := shelf.take(area_code, 1, 0.0)) is not None:
        bought.append(number.phone)
    return bought


def test_stock_is_finite_fictitious_unique_and_starts_with_the_lines_for_fiction():
    bought = buy_all(inventory(stock_per_area_code=9_000), "215")
    assert len(bought) == len(set(bought)) == 9_000
    assert bought[:100] == list(range(12_155_550_100, 12_155_550_200))
    assert {phone // 10_000 for phone in bought} == {1_215_555}
    assert not {12_155_551_212, 12_155_554_334} & set(bought)


def test_scarce_area_codes_and_those_without_numbers():
    shelf = inventory(stock_per_area_code=5, scarce={"907": 1, "808": 0})
    assert [len(buy_all(shelf, code)) for code in ("215", "907", "808", "911", "21", "abc", "121")] == [
        5,
        1,
    ] + [0] * 5


def test_people_keep_their_numbers():
    people = {12_155_550_100, 12_155_550_102}
    shelf = inventory(people, stock_per_area_code=2)
    assert shelf.on_sale("215") == [12_155_550_101, 12_155_550_103]
    assert buy_all(shelf, "215") == [12_155_550_101, 12_155_550_103]
    everybody = range(12_155_550_000, 12_155_560_000)
    assert inventory(everybody).take("215", 1, 0.0).phone == 12_155_500_000


def test_a_number_given_back_is_not_sold_again():
    shelf = inventory(stock_per_area_code=3)
    first = shelf.take("215", 7, 30.0)
    holding = shelf.holding(first.phone)
    assert (holding.campaign, holding.ready_at, holding.nth) == (7, 30.0, 0)
    shelf.give_back(first.phone)
    assert shelf.holding(first.phone) is None
    assert shelf.give_back(first.phone) is None
    assert first.phone not in buy_all(shelf, "215")


def test_a_certain_number_is_sold_once_and_only_while_it_is_on_sale():
    shelf = inventory(stock_per_area_code=3)
    assert shelf.sell(12_155_550_101, 7, 30.0).phone == 12_155_550_101
    holding = shelf.holding(12_155_550_101)
    assert (holding.campaign, holding.ready_at, holding.nth) == (7, 30.0, 0)
    assert shelf.sell(12_155_550_101, 8) is None
    assert shelf.sell(12_155_550_199, 8) is None  # not among those on sale
    assert shelf.sell(19_115_550_101, 8) is None  # 911 is no area code
    assert shelf.in_stock("215") == 2
    assert buy_all(shelf, "215") == [12_155_550_100, 12_155_550_102]


def test_anywhere_takes_the_next_area_code_in_stock():
    shelf = inventory(stock_per_area_code=1, anywhere=("215", "312"))
    assert [str(phone)[1:4] for phone in buy_all(shelf, "")] == ["215", "312"]


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("215", True),
        ("907", True),
        ("115", False),
        ("911", False),
        ("2155", False),
        ("٢١٥", False),
        ("", False),
    ],
)
def test_area_codes(text, right):
    assert is_area_code(text) is right
