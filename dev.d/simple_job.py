"""Prints a random number every half second, for ever: the job of ./dev demo."""
import random
import time

while True:
    print(f"{random.random():.12f}", flush=True)
    time.sleep(0.5)
