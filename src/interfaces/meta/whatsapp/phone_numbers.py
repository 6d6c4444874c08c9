"""One person's WhatsApp number in both of its forms, in the three countries where it has two."""

import re

from phonenumbers import PhoneNumber, PhoneNumberType, number_type

PUNCTUATION = re.compile(r"[+\s().-]")

SHORT_AND_LONG = {
    "52": (re.compile(r"(52)1?([2-9][0-9]{9})"), "1"),
    "54": (re.compile(r"(54)9?([1-8][0-9]{9})"), "9"),
    "55": (re.compile(r"(55[1-9][1-9])9?([0-9]{8})"), "9"),
}
"""What stands before and after the digit that Mexico, Argentina and Brazil put into mobile
numbers, and that digit."""

MOBILE = {PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE}


def digits_of(number: str) -> str:
    """The number without `+`, blanks, dashes and the like; empty where something else is in it."""
    digits = number if number.isdigit() else PUNCTUATION.sub("", number)
    return digits if digits.isascii() and digits.isdigit() else ""


def number_forms(number: str) -> tuple[str, ...]:
    """The number as given, then its digits, then the other form in which WhatsApp knows them.

    Anything that is no number has no form but its own.
    """
    digits = digits_of(number)
    return tuple(dict.fromkeys((number, digits or number, _other_form(digits) or number)))


def _other_form(digits: str) -> str:
    country = digits[:2]
    if country not in SHORT_AND_LONG:
        return ""
    pattern, mobile = SHORT_AND_LONG[country]
    if not (found := pattern.fullmatch(digits)):
        return ""
    parts = found.groups()
    short, long = "".join(parts), mobile.join(parts)
    return (short if digits == long else long) if _are_one(short, long) else ""


def _are_one(short: str, long: str) -> bool:
    """Whether both are one person's number (chatwoot 5840, 13986, 14048), which is a mobile one.

    Mexico gave its 1 up in 2019, so the library knows the short form only. Brazil's mobile numbers
    got their ninth digit until 2016, and WhatsApp knows many without it: the long form is a mobile
    one, and the short is not a landline's of today. Argentina's landlines share area codes and
    length with mobile numbers, so the library takes every short form for a landline's. There the
    long form decides: nearly everybody's WhatsApp is on a mobile phone, and the few landlines that
    have one are never written with 9, so their long form is nobody else's WhatsApp. Numbers that
    can only be fixed (Mexico's 200, Argentina's 670, all toll-free ones) have no long form.
    """
    if short.startswith("52"):
        return _type(short) in MOBILE
    if short.startswith("55") and _type(short) == PhoneNumberType.FIXED_LINE:
        return False
    return _type(long) in MOBILE


def _type(digits: str) -> int:
    return number_type(PhoneNumber(int(digits[:2]), int(digits[2:])))
