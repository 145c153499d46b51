"""`--notify-command`: run the user's command when a batch ends or pauses."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from batchrun.cli.output import print_text
from batchrun.errors import UsageError
from batchrun.text import holds_secret

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from batchrun.errors import ExitCode

NOTICE_SECONDS = 30.0
"""A command that takes longer than this, in seconds, is stopped."""

KEY_VARIABLE = "PGAI_API_KEY"


def notice(batch_id: str, code: ExitCode, message: str, workbook: str = "") -> dict[str, str]:
    """Return how a batch ended, as variables in the environment of the user's command."""
    found = {
        "BATCHRUN_BATCH": batch_id,
        "BATCHRUN_OUTCOME": code.name.lower().replace("_", " "),
        "BATCHRUN_EXIT_CODE": str(int(code)),
        "BATCHRUN_MESSAGE": " ".join(message.split()),
        "BATCHRUN_WORKBOOK": workbook,
    }
    return {name: value.replace("\0", "") for name, value in found.items()}


_TOAST = """
$manager = [Windows.UI.Notifications.ToastNotificationManager, Windows.UI.Notifications, \
ContentType = WindowsRuntime]
$toast = $manager::GetTemplateContent('ToastText01')
$text = $toast.CreateTextNode($env:BATCHRUN_MESSAGE)
$null = $toast.GetElementsByTagName('text').Item(0).AppendChild($text)
$app = '{1AC14E77-02E7-4E5D-B744-2EB1AE5198B7}\\WindowsPowerShell\\v1.0\\powershell.exe'
$note = [Windows.UI.Notifications.ToastNotification]::new($toast)
$manager::CreateToastNotifier($app).Show($note)
""".replace("\\\n", "")
# A full path: Windows looks for a program in the current folder first.
_POWERSHELL = os.path.join(  # noqa: PTH118  # a Windows path, built on any system
    os.environ.get("SYSTEMROOT", r"C:\Windows"),
    r"System32\WindowsPowerShell\v1.0\powershell.exe",
)
_DESKTOP = {
    "win32": (_POWERSHELL, "-NoProfile", "-Command", _TOAST),
    "darwin": (
        *("osascript", "-e"),
        'display notification (system attribute "BATCHRUN_MESSAGE") with title "batchrun"',
    ),
}
# The title of a notification is plain text; in the body, a list's name could contain markup.
_FREEDESKTOP = ("sh", "-c", 'notify-send --app-name=batchrun -- "$BATCHRUN_MESSAGE"')


def desktop_command() -> Sequence[str] | None:
    """Return the system's own command that shows a notification.

    If it is missing, a note says so, and ``None`` is returned.
    """
    found = _DESKTOP.get(sys.platform, _FREEDESKTOP)
    program = "notify-send" if found is _FREEDESKTOP else found[0]
    if shutil.which(program) is None:
        install = " Install libnotify-bin (Debian, Ubuntu) or libnotify."
        print_text(
            f"Note:      --notify can't show a notification here: {program} is not installed."
            f"{install if found is _FREEDESKTOP else ''}",
            err=True,
        )
        return None
    return found


def words_of(command: str | Sequence[str]) -> Sequence[str] | str:
    """Split a command into words without a shell, so nothing is expanded.

    Raises:
        UsageError: It is empty, or a quote is not closed.
    """
    if not isinstance(command, str):
        return command
    if os.name == "nt":  # Windows programs split their own command line
        words: Sequence[str] | str = command.strip()
    else:
        try:
            words = shlex.split(command)
        except ValueError:
            words = []
    if not words:
        raise UsageError(
            "The command of --notify-command can't be read.",
            "Write a program and its words, such as --notify-command 'sh notify.sh'.",
        )
    return words


def environment(given: Mapping[str, str], notice: Mapping[str, str]) -> dict[str, str]:
    """Return the command's environment: ours and the notice, without variables that hold keys."""
    kept = {
        name: value
        for name, value in given.items()
        if name.upper() != KEY_VARIABLE and not holds_secret(value)
    }
    return {**kept, **notice}


def notify(
    command: str | Sequence[str],
    notice: Mapping[str, str],
    *,
    longest_seconds: float = NOTICE_SECONDS,
    wait: bool = True,
) -> None:
    """Run the command. A failure is reported, but has no other effect.

    It is stopped after a time. Without ``wait``, it is started and left alone.
    """
    name = "notify command" if isinstance(command, str) else "desktop notification"
    try:
        words = words_of(command)
        process = subprocess.Popen(  # noqa: S603  # the user's own command, without a shell
            words,
            env=environment(os.environ, notice),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError, UsageError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        print_text(f"The {name} could not be started: {why}.", err=True)
        return
    if not wait:
        return
    try:
        code = process.wait(longest_seconds)
    except subprocess.TimeoutExpired:
        _end(process)
        print_text(f"The {name} was stopped after {longest_seconds:.0f} s.", err=True)
        return
    except KeyboardInterrupt:
        _end(process)
        return
    if code and name == "notify command":
        print_text(f"The notify command ended with code {code}.", err=True)
    elif code:  # for example over SSH, without a desktop
        print_text("The desktop notification could not be shown: no desktop answers.", err=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop the command and, if the system allows it, all processes that it started."""
    with suppress(OSError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
