"""How the recordings in fixtures/ are made: invented plants (`plants`), what befalls them (`stories`), and how each vendor tells it."""
