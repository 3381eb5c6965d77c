"""What paths with variables in them have ready before a call comes."""

import subprocess
import sys
from pathlib import Path

from mediaserver import config
from mediaserver.routing import requirements
from mediaserver.routing.configuration import Configuration
from mediaserver.speech.engines.requirements import EngineKind, EngineRequirement
from tests.server.process import write_config

PATH = """
[speech]
engine = "command"
[speech.command]
program = ["true"]
[paths."/{language}/{engine}"]
handler = "say"
text = "{amount:number}"
language = "{language}"
"""
# In a process of its own: the libraries are loaded once.
LOADED = """
import sys
from pathlib import Path
from mediaserver import config
from mediaserver.routing.configuration import Configuration
settings, problems = config.load(Path(sys.argv[1]))
assert not Configuration.build(settings, "", problems).problems
assert {"babel", "num2words"} <= sys.modules.keys()
"""


def test_number_words_are_loaded_at_start_for_a_language_that_a_url_names(tmp_path: Path) -> None:
    """Tens of milliseconds, in which all other callers would hear nothing; a language is a few more."""
    subprocess.run([sys.executable, "-c", LOADED, str(write_config(tmp_path, PATH))], check=True)


def test_an_engine_is_required_also_where_a_url_names_its_language(tmp_path: Path) -> None:
    settings, problems = config.load(write_config(tmp_path, PATH))
    assert requirements.required_engines(Configuration.build(settings, "", problems).table) == {
        EngineRequirement(EngineKind.TTS)
    }
