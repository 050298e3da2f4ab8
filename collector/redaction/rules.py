"""The rules by the names that configuration, tokens and metrics have for them."""

SECRET, NAME, DENIED = "secret", "name", "denied"

RULE_OF_TYPE = {
    "EMAIL_ADDRESS": "email",
    "PHONE_NUMBER": "phone",
    "CREDIT_CARD": "credit_card",
    "IBAN_CODE": "iban",
    "US_SSN": "national_id",
    "NATIONAL_ID": "national_id",
    "IP_ADDRESS": "ip_address",
    "MAC_ADDRESS": "mac_address",
    "BIRTH_DATE": "birth_date",
}
"""What `find_personal` calls a thing, and the rule for it."""

TYPE_OF_RULE = {rule: kind for kind, rule in RULE_OF_TYPE.items()}

RULES = (*dict.fromkeys(RULE_OF_TYPE.values()), SECRET, NAME, DENIED)
"""All that are built in. `name`: what the user's own finder of names finds; `denied`: attributes on the deny list."""
