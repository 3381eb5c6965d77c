"""Which names and files of prompts a request may change: nothing outside of the prompt folder, nothing hidden."""

import contextlib
import os
import unicodedata
from pathlib import Path, PurePosixPath

from mediaserver.audio.containers import signatures
from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.playout.decoding.formats import EXTENSIONS

# The most bytes in UTF-8 of a prompt's name as `escape` writes it. File systems allow 255 bytes for a name, and a
# prompt's file also has an extension, and one more while it is copied.
_LONGEST_NAME = 200
# The extension of a file that is received without one, by the format that its first bytes show.
_EXTENSIONS = {
    "WAV": ".wav",
    "AIFF": ".aiff",
    "MP4": ".m4a",
    "FLAC": ".flac",
    "Ogg": ".ogg",
    "AU": ".au",
    "CAF": ".caf",
    "AMR": ".amr",
    "Matroska": ".mka",
    "Wave64": ".w64",
    "WMA": ".wma",
    "AAC": ".aac",
    "MP3": ".mp3",
    "MPEG layer I": ".mp2",
    "MPEG layer II": ".mp2",
}


def split_extension(text: str) -> tuple[str, str]:
    """A prompt's name and the extension of a sound file, from a text that may end in one; "" for none.

    `music/hold.wav` is `music/hold` and `.wav`, and `welcome.de` is a name without an extension.
    """
    extension = PurePosixPath(text).suffix
    if extension.lower() not in EXTENSIONS:
        return text, ""
    return text.removesuffix(extension), extension.lower()


def escape(name: str) -> str:
    """A prompt's name written as the name of a single folder. No two prompts get the same folder's name."""
    return name.replace("%", "%25").replace("/", "%2F")


def validate_name(text: str) -> str:
    """Check a name that a request gives to a prompt; return it normalised, as the library's names are.

    RefusedError 400 if a file of this name would be hidden or outside of the folder, or if the name is too long,
    cannot be printed, or ends in the extension of a sound file.
    """
    name = unicodedata.normalize("NFC", text)
    parts = name.split("/")
    if not all(parts) or any(part.startswith(".") for part in parts):
        why = "no part of it may be empty or begin with a dot"
    elif not name.isprintable():
        why = "it has a character that cannot be printed"
    elif len(escape(name).encode()) > _LONGEST_NAME:
        why = f"it is longer than {_LONGEST_NAME} bytes, of which / and % take three each"
    elif split_extension(name)[1]:
        why = "prompts are named without the extension"
    else:
        return name
    raise RefusedError(RefusalReason.BAD_NAME, f"no prompt may have this name: {why}")


def place(directory: Path, name: str) -> Path:
    """The path, without an extension, of a prompt's files in the prompt folder.

    RefusedError 409 if a symbolic link leads out of the prompt folder, or into a hidden folder. The function
    blocks, because it follows links.
    """
    path = directory / name
    inside = Path(os.path.relpath(os.path.realpath(path.parent), os.path.realpath(directory)))
    if any(part.startswith(".") for part in inside.parts):  # the path "." of the prompt folder itself has no parts
        raise RefusedError(RefusalReason.PROMPT_CONFLICT, f"{path.parent} is a link that leads out of the folder")
    return path


def make_folder_of(file: Path) -> None:
    """Make the folder of a file.

    RefusedError 409 if there is a file at the folder's path, or a folder at the file's path.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise RefusedError(
            RefusalReason.PROMPT_CONFLICT,
            f"{file.parent} cannot be a folder: a file has its name, or that of a folder above it",
        ) from error
    if file.is_dir():
        raise RefusedError(RefusalReason.PROMPT_CONFLICT, f"{file} is a folder")


def remove_empty_folders(directory: Path, name: str) -> None:
    """Remove the folders of the prompt folder that a prompt of this name was in, if they are empty now."""
    with contextlib.suppress(OSError):  # `rmdir` fails for a folder that is not empty, and for a link
        for folder in list((directory / name).relative_to(directory).parents)[:-1]:
            (directory / folder).rmdir()


def refuse_link(file: Path) -> None:
    """Raise RefusedError 409 if a file is a symbolic link.

    The link's owner decides where it leads, and the history could not keep the file that it leads to.
    """
    if file.is_symlink():
        raise RefusedError(RefusalReason.PROMPT_CONFLICT, f"{file} is a link: it cannot be changed by requests")


def extension_of_sound(head: bytes) -> str:
    """The extension for a file that begins with these `HEAD_BYTES` bytes.

    RefusedError 422 if the file is no sound file, or if its first bytes do not tell its format.
    """
    tag = signatures.id3_bytes(head)
    kind = signatures.identify(head[tag:] if tag else head)
    if kind is None and tag:
        return ".mp3"
    if kind is not None and not kind.is_sound:
        raise RefusedError(RefusalReason.BAD_SOUND, f"the file is {kind.name}, not sound")
    if kind is None or kind.name not in _EXTENSIONS:
        raise RefusedError(
            RefusalReason.BAD_SOUND,
            "the first bytes do not tell the type of the file: name it, as in ?type=ulaw",
        )
    return _EXTENSIONS[kind.name]
