"""Whose key goes where: profiles, where their keys are kept, and which one is used."""

from batchrun.access.choice import (
    Access,
    address_of,
    find_access,
    for_batch,
    given_key,
    stored_profile,
)
from batchrun.access.login import LoggedIn, log_in, log_out
from batchrun.access.profiles import DEFAULT_PROFILE, Kept, Profile, Profiles, profiles

__all__ = [
    "DEFAULT_PROFILE",
    "Access",
    "Kept",
    "LoggedIn",
    "Profile",
    "Profiles",
    "address_of",
    "find_access",
    "for_batch",
    "given_key",
    "log_in",
    "log_out",
    "profiles",
    "stored_profile",
]
