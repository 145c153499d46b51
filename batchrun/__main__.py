"""``python -m batchrun`` is ``batchrun``."""

import signal


def main() -> None:
    """Run the command line; Ctrl-C while it is being imported ends it without a word."""
    heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if heard:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from batchrun.cli import main as run_command

    if heard:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        run_command()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # nothing is left to interrupt


if __name__ == "__main__":
    main()
