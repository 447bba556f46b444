"""`make demo` and `make dev`: the whole house on one machine, with an example customer.

1. environment.py: ports, secrets (made once, kept in var/demo.env), and what every process gets to see.
2. provision.py: the example customer, its chatbot and what it knows, the admin's user. Safe to repeat.
3. __main__.py: migrates, provisions, runs the processes of Procfile.demo.
4. story.py: asks a question over HTTP and tells each hop of it as it happens.
"""
