"""Set-up from options or a file: plans, customers, AI accounts, chatbots, channel accounts, API keys.

1. options.py turns the command line into the same tables that a TOML file holds.
2. reading.py reads the tables strictly into what is wanted (wanted.py): whatever it doesn't know is an error.
3. sources.py fetches values that must not stand in a file or on a command line, and texts for the knowledge base.
4. applying.py makes it so, in one transaction; what exists already under its name is kept and updated.
5. report.py is what came of it: JSON for programs, with ids, made secrets and addresses; lines for people.

What the tables don't mention stays as it is, so a run can be repeated, and be about a part only.
"""
