"""Which area codes there are, as the numbering plan of the library `phonenumbers` has them."""

from functools import lru_cache

import phonenumbers

from simulator.model.inventory import TOLL_FREE, is_area_code

_ORDINARY = {
    phonenumbers.PhoneNumberType.FIXED_LINE,
    phonenumbers.PhoneNumberType.MOBILE,
    phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE,
}


@lru_cache(maxsize=1000)
def has_numbers(area_code: str) -> bool:
    """Whether this is an area code of the United States, or a toll-free one."""
    if area_code in TOLL_FREE:
        return True
    if not is_area_code(area_code):
        return False
    number = phonenumbers.parse(f"+1{area_code}5550100")
    return (
        phonenumbers.region_code_for_number(number) == "US" and phonenumbers.number_type(number) in _ORDINARY
    )


def area_code_of(phone: int) -> str:
    """The area code of a US number."""
    return f"{phone // 10_000_000 % 1000:03d}"
