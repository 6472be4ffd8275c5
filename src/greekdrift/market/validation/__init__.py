"""What is wrong with recorded chains: every finding with its rule, rows, figure, limit and remedy; nothing is repaired.

`validate.validate` reads files, `quarantine` copies bad rows aside; `rules` is the one list of what is looked for.
"""
