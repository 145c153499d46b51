"""Settings, stored keys, and consents given on this machine."""

from batchrun.settings.credentials import (
    account_of,
    address_of,
    find_credentials,
    for_batch,
    given_key,
    key_source,
    profile_of,
    profile_replaced_by,
)
from batchrun.settings.files import (
    Configuration,
    ListDefaults,
    find_configuration,
    user_file,
)
from batchrun.settings.loading import load_settings
from batchrun.settings.location import DEFAULT_BASE_URL, service_of
from batchrun.settings.model import Settings, default_journal, read_rate, variable_of
from batchrun.settings.profiles import (
    DEFAULT_PROFILE,
    KeyStorage,
    stored_profiles,
)

__all__ = [
    "DEFAULT_BASE_URL",
    "DEFAULT_PROFILE",
    "Configuration",
    "KeyStorage",
    "ListDefaults",
    "Settings",
    "account_of",
    "address_of",
    "default_journal",
    "find_configuration",
    "find_credentials",
    "for_batch",
    "given_key",
    "key_source",
    "load_settings",
    "profile_of",
    "profile_replaced_by",
    "read_rate",
    "service_of",
    "stored_profiles",
    "user_file",
    "variable_of",
]
