"""What is configured, wherever it is: options, environment, ``.env``, ``batchrun.toml``."""

from batchrun.settings.address import DEFAULT_BASE_URL, service_of
from batchrun.settings.defaults import ListDefaults
from batchrun.settings.files import (
    Configuration,
    ConfigurationFile,
    configuration_folder,
    find_configuration,
    user_file,
)
from batchrun.settings.loading import load_settings
from batchrun.settings.model import Settings, default_journal, read_rate, variable_of

__all__ = [
    "DEFAULT_BASE_URL",
    "Configuration",
    "ConfigurationFile",
    "ListDefaults",
    "Settings",
    "configuration_folder",
    "default_journal",
    "find_configuration",
    "load_settings",
    "read_rate",
    "service_of",
    "user_file",
    "variable_of",
]
