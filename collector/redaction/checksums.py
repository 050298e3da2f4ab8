"""Check digits of cards and bank accounts; those of national numbers are in python-stdnum."""


def luhn_valid(digits: str) -> bool:
    """Whether the last digit checks the others (ISO/IEC 7812-1, annex B).

    >>> luhn_valid("4111111111111111"), luhn_valid("4111111111111112")
    (True, False)
    """
    doubled = "0246813579"
    total = sum(int(digit) if at % 2 == 0 else int(doubled[int(digit)]) for at, digit in enumerate(reversed(digits)))
    return total % 10 == 0


def iban_valid(iban: str) -> bool:
    """Whether an IBAN without spaces has the right check digits (ISO 13616, ISO/IEC 7064 MOD 97-10).

    >>> iban_valid("GB82WEST12345698765432"), iban_valid("GB82WEST12345698765431")
    (True, False)
    """
    if not 15 <= len(iban) <= 34:
        return False
    return int("".join(str(int(character, 36)) for character in iban[4:] + iban[:4])) % 97 == 1
