"""Where the project is: its documents, its configuration, its prompts."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
