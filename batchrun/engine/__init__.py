"""Triggers and polls a batch's jobs within one quota, and forecasts when executions will end."""
