"""What is said and what is heard, in words: engines that speak, recognise and think, each behind one interface.

Imports nothing: the processes of engines import it first.
"""
