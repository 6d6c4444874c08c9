"""The forms of a phone number: both forms of one person's number, never another person's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interfaces.meta.whatsapp.phone_numbers import extract_digits, list_number_forms

TWO_FORMS = {
    "Argentina, Buenos Aires": ("5491155550001", "541155550001"),
    "Argentina, Córdoba": ("5493515551234", "543515551234"),
    "Argentina, a small town's": ("5492944123456", "542944123456"),
    "Brazil, São Paulo": ("5511987654321", "551187654321"),
    "Brazil, Belo Horizonte": ("5531988887777", "553188887777"),
    "Brazil, from 6 on": ("5585961234567", "558561234567"),
    "Brazil, with 9 twice": ("5521999998888", "552199998888"),
    "Brazil, area 99": ("5599981234567", "559981234567"),
    "Mexico, City": ("5215512345678", "525512345678"),
    "Mexico, Monterrey": ("5218181234567", "528181234567"),
}


@pytest.mark.parametrize(("long", "short"), TWO_FORMS.values(), ids=TWO_FORMS)
def test_mobile_number_has_two_forms_with_the_given_one_first(long: str, short: str) -> None:
    assert list_number_forms(long) == (long, short)
    assert list_number_forms(short) == (short, long)


ONE_FORM = {
    "Brazil, landline from 2": "551123456789",
    "Brazil, landline from 5": "551155556789",
    "Brazil, nine digits that would be a landline's with eight": "5511934567890",
    "Brazil, toll-free": "558001234567",
    "Brazil, an area that is none": "5520987654321",
    "Brazil, a digit short": "55118765432",
    "Brazil, a digit long": "55119876543210",
    "Brazil, not 9 but 8": "5511887654321",
    "Argentina, fixed only": "546701234567",
    "Argentina, fixed only, with a 9": "5496701234567",
    "Argentina, toll-free": "548001234567",
    "Argentina, mobile without a 9": "546751234567",
    "Argentina, a digit short": "54911555500",
    "Argentina, a digit long": "54911555500012",
    "Argentina, as dialled there": "54111555550001",
    "Mexico, fixed only": "522001234567",
    "Mexico, fixed only, with a 1": "5212001234567",
    "Mexico, toll-free": "528001234567",
    "Mexico, a digit short": "52551234567",
    "Mexico, a digit long": "52155123456789",
    "Spain": "34600123456",
    "United States": "14155550001",
    "a sample's": "PHONE_NUMBER",
    "a sample's with digits": "521551234567x",
    "other digits": "٥٤٩١١٥٥٥٥٠٠٠١",
    "a user id": "AR.13490000000000001",
    "nothing": "",
    "blanks": "  ",
}


@pytest.mark.parametrize("number", ONE_FORM.values(), ids=ONE_FORM)
def test_other_number_has_one_form(number: str) -> None:
    assert list_number_forms(number) == (number,)


@pytest.mark.parametrize(
    "number",
    ["+5491155550001", "+54 9 11 5555-0001", "549 (11) 5555.0001", "\u00a05491155550001\n"],
)
def test_formatted_number_also_has_its_digits_as_a_form(number: str) -> None:
    assert list_number_forms(number) == (number, "5491155550001", "541155550001")
    assert extract_digits(number) == "5491155550001"


@pytest.mark.parametrize("number", ["", "+", "x1", "1x", "1/2", "٥", "1\u20112"])
def test_string_with_other_characters_has_no_digits(number: str) -> None:
    assert extract_digits(number) == ""


PREFIX_AND_MOBILE_DIGIT = st.sampled_from([("52", "1"), ("54", "9"), ("5511", "9"), ("5531", "9")])


def digit_strings(shortest: int, longest: int) -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=shortest, max_size=longest)


@given(PREFIX_AND_MOBILE_DIGIT, digit_strings(7, 11))
def test_forms_are_symmetric(prefix_and_digit: tuple[str, str], rest: str) -> None:
    prefix, digit = prefix_and_digit
    short, long = prefix + rest, prefix + digit + rest

    assert (long in list_number_forms(short)) is (short in list_number_forms(long))
    assert len(list_number_forms(short)) <= 2
    for number in (short, long):
        assert list_number_forms(number)[0] == number
        assert all(
            set(list_number_forms(other)) == set(list_number_forms(number))
            for other in list_number_forms(number)
        )


@given(digit_strings(7, 7))
def test_arbitrary_mobile_number_of_each_country_has_both_forms(rest: str) -> None:
    for short, long in (
        (f"5255{rest}1", f"52155{rest}1"),
        (f"54115{rest}", f"549115{rest}"),
        (f"55318{rest}", f"553198{rest}"),
    ):
        assert set(list_number_forms(short)) == set(list_number_forms(long)) == {short, long}


@given(st.sampled_from("2345"), st.text("0123456789", min_size=7, max_size=7))
def test_landline_of_brazil_gets_no_ninth_digit(first: str, rest: str) -> None:
    for area in ("11", "21", "31", "85"):
        assert list_number_forms(f"55{area}{first}{rest}") == (f"55{area}{first}{rest}",)
        assert list_number_forms(f"55{area}9{first}{rest}") == (f"55{area}9{first}{rest}",)


@given(st.text(max_size=20))
def test_arbitrary_string_is_its_own_first_form(number: str) -> None:
    assert list_number_forms(number)[0] == number
