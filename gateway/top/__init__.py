"""`textbank top`: running workers in the terminal, by their own metrics. `scrape.py` reads them, `picture.py` works out what
is shown from two scrapes, `screen.py` writes it, `command.py` asks again and again."""
