"""The system's keyring: keep, fetch and erase a key there.

An entry is found by the address its key belongs to, so a key can't be fetched for another one.
"""

from __future__ import annotations

from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

from batchrun.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyring.backend import KeyringBackend

    from batchrun.settings.profiles import Profile

RECOMMENDED_PRIORITY = 1
"""From here on keyring itself recommends a backend; what is below keeps keys in plain files."""

Answer = TypeVar("Answer")

PATIENCE_SECONDS = 60.0
"""How long a keyring may take: its user may have to unlock it. A locked one that can't ask (over
ssh, from cron) never answers: https://github.com/mitya57/secretstorage/issues/33"""

_BY_HAND = (
    "Unlock it, or log in again with: batchrun login. PGAI_API_KEY works without the keyring."
)


@dataclass(frozen=True, slots=True)
class NoKeyring:
    """There is no keyring to use.

    Attributes:
        reason: Why, in plain words.
    """

    reason: str


def open_keyring() -> KeyringBackend | NoKeyring:
    """The system's keyring, if there is one."""
    try:
        import keyring
        from keyring.backends import chainer, fail, null

        backend = _in_time(keyring.get_keyring)
    # Whatever a backend may raise while it looks for its service; a wrong PYTHON_KEYRING_BACKEND.
    except Exception as error:
        return NoKeyring(f"the keyring can't be opened ({type(error).__name__})")
    empty = isinstance(backend, chainer.ChainerBackend) and not backend.backends
    if isinstance(backend, (fail.Keyring, null.Keyring)) or empty:
        return NoKeyring("this system has no keyring")
    if backend.priority < RECOMMENDED_PRIORITY:
        return NoKeyring(f"the only keyring is {backend.name}, which is not recommended")
    return backend


def keep(profile: Profile, key: str) -> str | NoKeyring:
    """Keep a key.

    Returns:
        The keyring's name; or why it can't be kept there.
    """
    backend, service = open_keyring(), _service(profile.base_url)
    if isinstance(backend, NoKeyring):
        return backend
    try:
        _in_time(lambda: backend.set_password(service, profile.name, key))
        kept = _in_time(lambda: backend.get_password(service, profile.name)) == key
    except Exception as error:  # KeyringError, and what backends let through: D-Bus, Windows
        return NoKeyring(f"the keyring refused it ({_said(error, key)})")
    return backend.name if kept else NoKeyring("the keyring forgot it at once")


def fetch(profile: Profile) -> str:
    """The key of a profile.

    Raises:
        UsageError: The keyring can't be read, or doesn't have it any more.
    """
    backend = open_keyring()
    where = f"The key of profile {profile.name} is in the system's keyring"
    if isinstance(backend, NoKeyring):
        raise UsageError(f"{where}, but {backend.reason}.", _BY_HAND)
    try:
        key = _in_time(lambda: backend.get_password(_service(profile.base_url), profile.name))
    except Exception as error:  # as in `keep`
        raise UsageError(f"{where}, which can't be read ({_said(error)}).", _BY_HAND) from None
    if not key:
        raise UsageError(
            f"The keyring has no key of profile {profile.name} for {profile.base_url} any more.",
            f"Log in again: batchrun login --profile {profile.name}",
        )
    return key


def erase(profile: Profile) -> NoKeyring | None:
    """Erase a key; one that is gone already is no error.

    Returns:
        Why there is no keyring to erase it from; it may still be in one that comes back.

    Raises:
        UsageError: The keyring doesn't let it go.
    """
    backend = open_keyring()
    if isinstance(backend, NoKeyring):
        return backend
    service = _service(profile.base_url)
    try:
        if _in_time(lambda: backend.get_password(service, profile.name)) is not None:
            _in_time(lambda: backend.delete_password(service, profile.name))
    except Exception as error:  # as in `keep`
        raise UsageError(f"The key can't be erased ({_said(error)}).", by_hand(profile)) from None
    return None


def by_hand(profile: Profile) -> str:
    """How a user removes a profile's key."""
    return (
        f'Remove the entry "{_service(profile.base_url)}" of user {profile.name} '
        "in the system's keyring by hand."
    )


def _in_time(call: Callable[[], Answer]) -> Answer:
    """What a call to the keyring gives, or raises, unless it takes too long.

    Raises:
        TimeoutError: It does.
    """
    answers: SimpleQueue[tuple[Answer, None] | tuple[None, Exception]] = SimpleQueue()

    def ask() -> None:
        try:
            answers.put((call(), None))
        except Exception as error:  # whatever it is, it is raised below
            answers.put((None, error))

    Thread(target=ask, daemon=True).start()
    try:
        answer, error = answers.get(timeout=PATIENCE_SECONDS)
    except Empty:
        raise TimeoutError(f"no answer within {PATIENCE_SECONDS:.0f} s; is it locked?") from None
    if error is not None:
        raise error
    return answer  # type: ignore[return-value]  # where there is no error, it is the answer


def _service(base_url: str) -> str:
    """Under which name an entry stands: keyrings show it to their user."""
    return f"batchrun {base_url}"


def _said(error: Exception, key: str = "") -> str:
    """What a backend says, without the key, should it quote it."""
    words = str(error).strip() or type(error).__name__
    return words.replace(key, "***") if key else words
