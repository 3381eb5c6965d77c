"""What every Python process of a test does first, as this folder stands in `PYTHONPATH`.

Our processes that decode, speak and recognise are nice: on a machine with other work they have next to none of it,
and a test would wait for minutes. So here is a sandbox that lets nobody change a priority.
"""

import errno
import os


def refuse(which: int, who: int, priority: int) -> None:
    """What the kernel would."""
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


os.setpriority = refuse
