"""The broker's queues, on whichever broker BROKER_URL names: made by a command, looked for at a worker's start."""
