"""VoIPBIN's flows and webhooks, sans-I/O: actions, destinations of transfers, and answers to a flow's requests.

A flow is a list of actions that VoIPBIN (a telephony platform) executes one after another. The action `fetch`
requests the next actions from a URL, and reports DTMF keys. The source of these facts is VoIPBIN's public code.
"""
