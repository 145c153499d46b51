"""Settings, stored keys, and consents given on this machine."""
