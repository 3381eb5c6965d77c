"""The history of a conversation, as the model gets it."""

import pytest

from mediaserver.handlers.assistant.history import History, heard_part
from mediaserver.speech.llm.chat import ToolCall

CALL = ToolCall("a", "play_prompt", "{}")


@pytest.mark.parametrize(
    ("share", "heard"),
    [(0.0, ""), (0.13, ""), (0.15, "It…"), (0.4, "It is…"), (0.99, "It is sunny…"), (1.0, "It is sunny now…")],
)  # fmt: skip
def test_a_sentence_that_was_cut_off_ends_with_the_last_whole_word(share: float, heard: str) -> None:
    assert heard_part("It is sunny now", share) == heard


def test_messages_of_the_same_side_are_joined() -> None:
    history = History("Be brief.")
    history.add_assistant("Hello.")
    history.add_caller("can you")
    history.add_caller("help me")
    history.add_assistant("")
    history.add_assistant("Yes.")
    history.add_assistant("What is it?")
    assert history.messages == [
        {"role": "system", "content": "Be brief."},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "can you help me"},
        {"role": "assistant", "content": "Yes. What is it?"},
    ]
    assert history.transcript[1:] == [
        {"who": "caller", "text": "can you help me"},
        {"who": "assistant", "text": "Yes. What is it?"},
    ]


def test_tool_calls_are_followed_by_their_results() -> None:
    history = History("Be brief.")
    history.add_caller("music please")
    history.add_tool_calls("", [CALL])
    history.add_tool_result(CALL, "played")
    history.add_assistant("Did you like it?")
    function = {"name": "play_prompt", "arguments": "{}"}
    assert history.messages[2:] == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "a", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "a", "content": "played"},
        {"role": "assistant", "content": "Did you like it?"},
    ]
    assert [line["text"] for line in history.transcript] == ["music please", "Did you like it?"]


def test_the_oldest_turns_are_dropped_with_their_tool_calls() -> None:
    history = History("Be brief.", max_characters=100)
    history.add_assistant("Hello.")
    history.add_caller("x" * 40)
    history.add_tool_calls("y" * 40, [CALL])
    history.add_tool_result(CALL, "played")
    history.add_caller("z" * 30)
    assert [message["role"] for message in history.messages] == ["system", "user"]
    history.add_assistant("z" * 200)  # what the present turn takes, it takes
    assert [message["role"] for message in history.messages] == ["system", "user", "assistant"]
    history.add_caller("next")
    assert [message["content"] for message in history.messages] == ["Be brief.", "next"]


def test_text_with_a_tool_call_stays_a_message_of_its_own() -> None:
    history = History("Be brief.")
    history.add_tool_calls("One moment.", [CALL])
    history.add_assistant("Here it is.")
    assert [message["content"] for message in history.messages[1:]] == ["One moment.", "Here it is."]


@pytest.mark.parametrize(("most", "kept"), [(100, 4), (99, 1)])
def test_tool_calls_count_into_the_size_of_the_history(most: int, kept: int) -> None:
    history = History("Be brief.", max_characters=most)
    history.add_caller("x" * 20)
    history.add_tool_calls("", [ToolCall("a", "play_prompt", "y" * 40)])
    history.add_tool_result(CALL, "z" * 20)
    history.add_caller("x" * 20)
    assert len(history.messages) - 1 == kept
    assert history.messages[0] == {"role": "system", "content": "Be brief."}


def test_the_default_size_of_the_history() -> None:
    """12 000 characters, some 3000 tokens."""
    history = History("Be brief." * 1000)
    history.add_caller("x" * 6000)
    history.add_assistant("y" * 6000)
    assert len(history.messages) == 3
    history.add_caller("z")
    assert [message["content"] for message in history.messages[1:]] == ["z"]
