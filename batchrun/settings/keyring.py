"""Save, fetch and delete keys in the system's keyring.

An entry's name includes the address of its key, so a key can't be fetched for another address.
"""

from __future__ import annotations

from concurrent.futures import Future, wait
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

from batchrun.advice import Action, Advice
from batchrun.errors import UsageError
from batchrun.text import quoted_command

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyring.backend import KeyringBackend

    from batchrun.settings.profiles import Profile

RECOMMENDED_PRIORITY = 1
"""The lowest priority that keyring recommends; backends below it store keys in plain files."""

Answer = TypeVar("Answer")

PATIENCE_SECONDS = 60.0
"""The longest wait for a keyring, in seconds: the user may have to unlock it. A locked keyring that
can't ask (over ssh, from cron) never answers: https://github.com/mitya57/secretstorage/issues/33"""

_BY_HAND = Advice(
    "Unlock it",
    ", or log in again with: batchrun login. PGAI_API_KEY works without the keyring.",
    Action.LOG_IN,
)


@dataclass(frozen=True, slots=True)
class NoKeyring:
    """No keyring can be used."""

    reason: str  # in plain words


def open_keyring() -> KeyringBackend | NoKeyring:
    """Open the system's keyring, if there is one."""
    try:
        import keyring
        from keyring.backends import chainer, fail, null

        backend = _with_timeout(keyring.get_keyring)
    # Backends raise anything while they look for their service, or PYTHON_KEYRING_BACKEND is wrong.
    except Exception as error:
        return NoKeyring(f"the keyring can't be opened ({type(error).__name__})")
    empty = isinstance(backend, chainer.ChainerBackend) and not backend.backends
    if isinstance(backend, (fail.Keyring, null.Keyring)) or empty:
        return NoKeyring("this system has no keyring (password store)")
    if backend.priority < RECOMMENDED_PRIORITY:
        return NoKeyring(f"the only keyring is {backend.name}, which is not recommended")
    return backend


def save(profile: Profile, key: str) -> str | NoKeyring:
    """Save a key; return the keyring's name, or why the key can't be saved there."""
    backend, entry = open_keyring(), (_service(profile), profile.name)
    if isinstance(backend, NoKeyring):
        return backend
    try:
        _with_timeout(lambda: backend.set_password(*entry, key))
        saved = _with_timeout(lambda: backend.get_password(*entry)) == key
    except Exception as error:  # KeyringError, and what backends let through: D-Bus, Windows
        return NoKeyring(f"the keyring refused it ({_reason(error, key)})")
    return backend.name if saved else NoKeyring("the keyring did not store it")


def fetch(profile: Profile) -> str:
    """Fetch the key of a profile.

    Raises:
        UsageError: The keyring can't be read, or no longer has the key.
    """
    backend = open_keyring()
    where = f"The key of profile {profile.name} is in the system's keyring"
    if isinstance(backend, NoKeyring):
        raise UsageError(f"{where}, but {backend.reason}.", _BY_HAND)
    try:
        key = _with_timeout(lambda: backend.get_password(_service(profile), profile.name))
    except Exception as error:  # as in `save`
        raise UsageError(f"{where}, which can't be read ({_reason(error)}).", _BY_HAND) from None
    if not key:
        raise UsageError(
            f"The keyring no longer has the key of profile {profile.name} for {profile.base_url}.",
            f"Log in again: {quoted_command('batchrun', 'login', '--profile', profile.name)}",
        )
    return key


def delete(profile: Profile) -> str:
    """Delete a profile's key from the keyring. A missing key is not an error.

    Returns:
        Why the key may still exist in a keyring that is not available now, and what to do; else
        ``""``.

    Raises:
        UsageError: The keyring refuses.
    """
    backend, (service, user) = open_keyring(), (_service(profile), profile.name)
    by_hand = f'Remove the entry "{service}" of user {user} in the system\'s keyring by hand.'
    if isinstance(backend, NoKeyring):
        return f"The key may still be there: {backend.reason}. {by_hand}"
    try:
        if _with_timeout(lambda: backend.get_password(service, user)) is not None:
            _with_timeout(lambda: backend.delete_password(service, user))
    except Exception as error:  # as in `save`
        raise UsageError(f"The key can't be deleted ({_reason(error)}).", by_hand) from None
    return ""


def _with_timeout(call: Callable[[], Answer]) -> Answer:
    """Call the keyring, but wait no longer than PATIENCE_SECONDS.

    Raises:
        TimeoutError: The call takes longer.
    """
    answer: Future[Answer] = Future()

    def ask() -> None:
        try:
            answer.set_result(call())
        except Exception as error:  # raised below, in the caller's thread
            answer.set_exception(error)

    Thread(target=ask, daemon=True).start()  # an executor would wait for it when Python exits
    if not wait([answer], PATIENCE_SECONDS).done:
        raise TimeoutError(f"no answer within {PATIENCE_SECONDS:.0f} s; is it locked?")
    return answer.result()


def _service(profile: Profile) -> str:
    """Return the service name of a keyring entry; keyrings show it to the user."""
    return f"batchrun {profile.base_url}"


def _reason(error: Exception, key: str = "") -> str:
    """Return a backend's error message, without the key if the message quotes it."""
    words = str(error).strip() or type(error).__name__
    return words.replace(key, "***") if key else words
