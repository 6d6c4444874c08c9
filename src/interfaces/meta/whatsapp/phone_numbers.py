"""Lists the forms of a WhatsApp number: numbers of Mexico, Argentina and Brazil have two (D9)."""

import re

from phonenumbers import PhoneNumber, PhoneNumberType, number_type

PUNCTUATION_PATTERN = re.compile(r"[+\s().-]")

MOBILE_DIGIT_BY_COUNTRY_CODE = {
    "52": (re.compile(r"(52)1?([2-9][0-9]{9})"), "1"),
    "54": (re.compile(r"(54)9?([1-8][0-9]{9})"), "9"),
    "55": (re.compile(r"(55[1-9][1-9])9?([0-9]{8})"), "9"),
}
"""By country code, the digit that Mexico, Argentina and Brazil insert into mobile numbers.

The groups of the pattern match the digits before it and after it.
"""

MOBILE_TYPES = {PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE}


def extract_digits(number: str) -> str:
    """Return the number without `+`, blanks, dots, dashes and parentheses.

    Returns "" where anything else is in it.
    """
    digits = number if number.isdigit() else PUNCTUATION_PATTERN.sub("", number)
    return digits if digits.isascii() and digits.isdigit() else ""


def list_number_forms(number: str) -> tuple[str, ...]:
    """Return the number as given, then its digits, then the other form that WhatsApp uses for it.

    Each form occurs once. A string that is not a phone number has only itself as a form.
    """
    digits = extract_digits(number)
    return tuple(dict.fromkeys((number, digits or number, _find_other_form(digits) or number)))


def _find_other_form(digits: str) -> str:
    """Return the number without its mobile digit, or with it; "" for a number with one form."""
    country_code = digits[:2]
    if country_code not in MOBILE_DIGIT_BY_COUNTRY_CODE:
        return ""
    pattern, mobile_digit = MOBILE_DIGIT_BY_COUNTRY_CODE[country_code]
    if not (match := pattern.fullmatch(digits)):
        return ""
    parts = match.groups()
    short, long = "".join(parts), mobile_digit.join(parts)
    return (short if digits == long else long) if _is_one_mobile_number(short, long) else ""


def _is_one_mobile_number(short: str, long: str) -> bool:
    """Return whether both forms are the same person's mobile number.

    Each country has its own rule:

    - Mexico gave up its 1 in 2019, so the phonenumbers library knows the short form only.
    - Brazil's mobile numbers got their ninth digit until 2016, and WhatsApp knows many without it.
      The long form must be a mobile number, and the short form must not be a landline of today.
    - Argentina's landlines share area codes and length with mobile numbers, so the library takes
      every short form for a landline. The long form decides: nearly all WhatsApp accounts are on
      mobile phones, and the few landlines with WhatsApp are never written with the 9, so the long
      form of a landline is no other person's WhatsApp.

    Numbers that can only be landlines (Mexico's 200, Argentina's 670, all toll-free numbers) have
    no long form.

    Source: not documented by Meta; chatwoot/chatwoot issues 5840, 13986 and 14048.
    """
    if short.startswith("52"):
        return _classify(short) in MOBILE_TYPES
    if short.startswith("55") and _classify(short) == PhoneNumberType.FIXED_LINE:
        return False
    return _classify(long) in MOBILE_TYPES


def _classify(digits: str) -> int:
    """Return the PhoneNumberType of a number whose country code has two digits."""
    return number_type(PhoneNumber(int(digits[:2]), int(digits[2:])))
