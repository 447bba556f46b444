"""The yardstick: how many messages, at what cost, how late; beside a tuned peer doing equal work."""
