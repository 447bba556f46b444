"""Posts for a while, in a process of its own, as programs and Telegram do; what counts as accepted got 2xx.

python -m chaos.producer --directory <run> --seed 1 --rate 5 --conversations 40

Whoever is told no for now (503, no answer) sends the same again, as clients and providers do: a program with the same
Idempotency-Key, Telegram with the same update_id. SIGTERM: nothing new is begun, and what is under way gets a few
seconds more.
"""
