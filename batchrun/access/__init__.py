"""Whose key goes where: profiles, where their keys are kept, and which one is used.

`batchrun.access.login` asks the service, and is loaded when a key is kept or erased.
"""

from batchrun.access.choice import (
    Access,
    account_of,
    address_of,
    find_access,
    for_batch,
    given_key,
    other_key,
    profile_of,
)
from batchrun.access.profiles import DEFAULT_PROFILE, Kept, Profile, Profiles, stored_profiles

__all__ = [
    "DEFAULT_PROFILE",
    "Access",
    "Kept",
    "Profile",
    "Profiles",
    "account_of",
    "address_of",
    "find_access",
    "for_batch",
    "given_key",
    "other_key",
    "profile_of",
    "stored_profiles",
]
