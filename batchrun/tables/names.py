"""Header names that CRMs give their columns, and what they say of an ID's role. Pure."""

from __future__ import annotations

import unicodedata

from batchrun.model import Role

STRONG_NAMES = {
    Role.COMPANY: frozenset({
        "company id", "companyid", "company uuid", "companyuuid", "pg company id",
        "pgai company id", "pg ai company id", "account uuid", "organization id",
        "organisation id", "organization uuid", "organisation uuid",
        # as German, French, Spanish and Dutch CRMs name them
        "firmen id", "unternehmens id", "id entreprise", "id societe", "id empresa", "bedrijfs id",
    }),
    Role.CONTACT: frozenset({
        "contact id", "contactid", "contact uuid", "contactuuid", "pg contact id",
        "pgai contact id", "pg ai contact id", "person id", "person uuid", "lead id",
        "kontakt id", "ansprechpartner id", "id contact", "id contacto", "contactpersoon id",
    }),
}  # fmt: skip
"""Believed by themselves; see CRM exports in docs/loading.md."""

WEAK_NAMES = {
    Role.COMPANY: frozenset({
        "account id", "accountid", "associated company id", "associated company ids",
        "associated company ids primary", "record id company", "company record id",
    }),
    Role.CONTACT: frozenset({
        "associated contact id", "associated contact ids", "record id contact",
        "contact record id",
    }),
}  # fmt: skip
"""Believed only when most filled cells under them are UUIDs: CRMs keep their own IDs there."""

_KNOWN = frozenset({"id", "record id"}).union(*STRONG_NAMES.values(), *WEAK_NAMES.values())


def normalise(name: str) -> str:
    """A header name without case, accents, punctuation and superfluous white space."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    kept = (
        character if character.isalnum() else " "
        for character in decomposed
        if unicodedata.category(character) not in {"Mn", "Cf"}
    )
    return " ".join("".join(kept).split())


def is_known_name(cell: object) -> bool:
    """Whether a cell is the name of an ID column, as headers have it and rows do not."""
    return isinstance(cell, str) and len(cell) < 60 and normalise(cell) in _KNOWN
