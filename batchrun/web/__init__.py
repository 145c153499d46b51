"""The local page: `batchrun web`, for people who don't use a terminal.

It uses only batchrun's public functions. One user, one machine: it listens only on 127.0.0.1.
"""
