"""The local page: `batchrun web`, for people who don't use a terminal.

It uses only the public functions of batchrun. One user, one machine: it listens on 127.0.0.1 alone.
"""
